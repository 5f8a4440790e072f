//! The Huffman code of HPACK (RFC 7541, appendix B).
//!
//! It is canonical: codes of one length follow each other in the order of the bytes that they stand for, and a longer
//! code begins where the shorter ones end. So the lengths say everything.

/// The length in bits of each byte's code.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26,
];
const LONGEST: usize = 30;

/// Decodes; made once a connection.
#[derive(Debug)]
pub struct Decoder {
    /// The bytes in the order of their codes.
    bytes: [u8; 256],
    /// Of each length: the first code, how many there are, and the place of the first among `bytes`.
    rows: [(u32, u32, usize); LONGEST + 1],
}

impl Default for Decoder {
    fn default() -> Self {
        let mut order: Vec<u8> = (0..=255).collect();
        order.sort_by_key(|byte| (LENGTHS[usize::from(*byte)], *byte));
        let mut bytes = [0; 256];
        bytes.copy_from_slice(&order);
        let mut rows = [(0, 0, 0); LONGEST + 1];
        let (mut code, mut place) = (0_u32, 0);
        for (length, row) in rows.iter_mut().enumerate() {
            code <<= 1;
            let count = LENGTHS.iter().filter(|known| usize::from(**known) == length).count();
            *row = (code, count as u32, place);
            code += count as u32;
            place += count;
        }
        Self { bytes, rows }
    }
}

impl Decoder {
    /// Appends what `coded` stands for.
    ///
    /// # Errors
    /// It stands for nothing.
    pub fn decode(&self, coded: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        let (mut code, mut length) = (0_u32, 0);
        for byte in coded {
            for shift in (0..8).rev() {
                code = code << 1 | u32::from(byte >> shift & 1);
                length += 1;
                let Some((first, count, place)) = self.rows.get(length) else {
                    return Err("a Huffman code that stands for nothing");
                };
                if let Some(offset) = code.checked_sub(*first).filter(|offset| offset < count) {
                    out.push(self.bytes[place + offset as usize]);
                    (code, length) = (0, 0);
                }
            }
        }
        // Padding is the beginning of a code of ones.
        if length < 8 && code + 1 == 1 << length { Ok(()) } else { Err("wrong padding of a Huffman code") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfcs_examples_are_read() {
        // RFC 7541, C.4.1 and C.6.1.
        let (decoder, mut out) = (Decoder::default(), Vec::new());
        let coded = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        decoder.decode(&coded, &mut out).unwrap();
        assert_eq!(out, b"www.example.com");
        out.clear();
        let coded =
            [0x9d, 0x29, 0xad, 0x17, 0x18, 0x63, 0xc7, 0x8f, 0x0b, 0x97, 0xc8, 0xe9, 0xae, 0x82, 0xae, 0x43, 0xd3];
        decoder.decode(&coded, &mut out).unwrap();
        assert_eq!(out, b"https://www.example.com");
    }

    #[test]
    fn padding_must_be_ones() {
        // "0" is 00000.
        let (decoder, mut out) = (Decoder::default(), Vec::new());
        assert!(decoder.decode(&[0b0000_0111], &mut out).is_ok());
        assert!(decoder.decode(&[0b0000_0110], &mut out).is_err());
        assert!(decoder.decode(&[0xff, 0xff], &mut out).is_err());
    }
}
