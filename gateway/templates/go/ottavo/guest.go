//go:build wasip1

package ottavo

import (
	"encoding/binary"
	"math"
	"strings"
	"unsafe"
)

// The sidecar as a guest of proxy-wasm reaches it. Texts and bytes are pointer and length; what comes back lies in memory
// that proxyOnMemoryAllocate has given.

type pointer = unsafe.Pointer

//go:wasmimport env proxy_log
func proxyLog(level uint32, text pointer, length uint32) uint32

//go:wasmimport env proxy_get_header_map_pairs
func proxyGetHeaderMapPairs(kind uint32, place, length pointer) uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(buffer, start, most uint32, place, length pointer) uint32

//go:wasmimport env proxy_send_local_response
func proxySendLocalResponse(status uint32, details pointer, detailsLength uint32, body pointer, bodyLength uint32,
	headers pointer, headersLength uint32, grpcStatus int32) uint32

//go:wasmimport env proxy_get_state
func proxyGetState(store pointer, storeLength uint32, key pointer, keyLength uint32, place, length pointer) uint32

//go:wasmimport env proxy_set_state
func proxySetState(store pointer, storeLength uint32, key pointer, keyLength uint32,
	value pointer, valueLength uint32) uint32

//go:wasmimport env proxy_delete_state
func proxyDeleteState(store pointer, storeLength uint32, key pointer, keyLength uint32) uint32

//go:wasmimport env proxy_publish_event
func proxyPublishEvent(pubsub pointer, pubsubLength uint32, topic pointer, topicLength uint32,
	data pointer, dataLength uint32, contentType pointer, contentTypeLength uint32,
	metadata pointer, metadataLength uint32) uint32

//go:wasmimport env proxy_get_secret
func proxyGetSecret(store pointer, storeLength uint32, name pointer, nameLength uint32, place, length pointer) uint32

//go:wasmimport env proxy_invoke_service
func proxyInvokeService(id pointer, idLength uint32, method pointer, methodLength uint32,
	body pointer, bodyLength uint32, place, length pointer) uint32

//go:wasmimport env proxy_invoke_binding
func proxyInvokeBinding(name pointer, nameLength uint32, operation pointer, operationLength uint32,
	data pointer, dataLength uint32, metadata pointer, metadataLength uint32, place, length pointer) uint32

func text(s string) (pointer, uint32)  { return pointer(unsafe.StringData(s)), uint32(len(s)) }
func bytes(b []byte) (pointer, uint32) { return pointer(unsafe.SliceData(b)), uint32(len(b)) }

func done(call string, status uint32) error {
	if status != 0 {
		return &Error{call, status}
	}
	return nil
}

// taken gives what a host function gives back.
func taken(call string, ask func(place, length pointer) uint32) ([]byte, error) {
	var place, length uint32
	if err := done(call, ask(pointer(&place), pointer(&length))); err != nil {
		return nil, err
	}
	memory := allocated[place]
	delete(allocated, place)
	return memory, nil
}

// allocated keeps what the sidecar was given until it has come back.
var allocated = map[uint32][]byte{}

//go:wasmexport proxy_on_memory_allocate
func proxyOnMemoryAllocate(size uint32) pointer {
	memory := make([]byte, size)
	place := pointer(unsafe.SliceData(memory))
	allocated[uint32(uintptr(place))] = memory
	return place
}

func getState(store, key string) ([]byte, error) {
	return taken("GetState", func(place, length pointer) uint32 {
		s, sLen := text(store)
		k, kLen := text(key)
		return proxyGetState(s, sLen, k, kLen, place, length)
	})
}

func setState(store, key string, value []byte) error {
	s, sLen := text(store)
	k, kLen := text(key)
	v, vLen := bytes(value)
	return done("SetState", proxySetState(s, sLen, k, kLen, v, vLen))
}

func deleteState(store, key string) error {
	s, sLen := text(store)
	k, kLen := text(key)
	return done("DeleteState", proxyDeleteState(s, sLen, k, kLen))
}

func publish(pubsub, topic string, data []byte, contentType string) error {
	p, pLen := text(pubsub)
	t, tLen := text(topic)
	d, dLen := bytes(data)
	c, cLen := text(contentType)
	return done("Publish", proxyPublishEvent(p, pLen, t, tLen, d, dLen, c, cLen, nil, 0))
}

func getSecret(store, name string) (string, error) {
	secret, err := taken("GetSecret", func(place, length pointer) uint32 {
		s, sLen := text(store)
		n, nLen := text(name)
		return proxyGetSecret(s, sLen, n, nLen, place, length)
	})
	if values := decode(secret); err == nil && len(values) > 0 {
		return values[0][1], nil
	}
	return "", err
}

func invoke(id, method string, body []byte) ([]byte, error) {
	return taken("Invoke", func(place, length pointer) uint32 {
		i, iLen := text(id)
		m, mLen := text(method)
		b, bLen := bytes(body)
		return proxyInvokeService(i, iLen, m, mLen, b, bLen, place, length)
	})
}

func bind(name, operation string, data []byte) ([]byte, error) {
	return taken("Bind", func(place, length pointer) uint32 {
		n, nLen := text(name)
		o, oLen := text(operation)
		d, dLen := bytes(data)
		return proxyInvokeBinding(n, nLen, o, oLen, d, dLen, nil, 0, place, length)
	})
}

func log(level uint32, line string) {
	t, n := text(line)
	proxyLog(level, t, n)
}

// decode reads a list of pairs: how many, both lengths of each, then each text with a NUL behind it.
func decode(list []byte) [][2]string {
	if len(list) < 4 {
		return nil
	}
	word := func(at int) int { return int(binary.LittleEndian.Uint32(list[at:])) }
	at := 4 + 8*word(0)
	next := func(length int) string {
		text := string(list[at : at+length])
		at += length + 1
		return text
	}
	pairs := make([][2]string, word(0))
	for i := range pairs {
		pairs[i] = [2]string{next(word(4 + 8*i)), next(word(8 + 8*i))}
	}
	return pairs
}

func encode(pairs [][2]string) []byte {
	list := binary.LittleEndian.AppendUint32(nil, uint32(len(pairs)))
	for _, pair := range pairs {
		list = binary.LittleEndian.AppendUint32(list, uint32(len(pair[0])))
		list = binary.LittleEndian.AppendUint32(list, uint32(len(pair[1])))
	}
	for _, pair := range pairs {
		list = append(append(list, pair[0]...), 0)
		list = append(append(list, pair[1]...), 0)
	}
	return list
}

// answer reads the whole request, asks the function, and answers.
func answer() uint32 {
	request := &Request{}
	headers, _ := taken("headers", func(place, length pointer) uint32 { return proxyGetHeaderMapPairs(0, place, length) })
	for _, header := range decode(headers) {
		switch {
		case header[0] == ":method":
			request.Method = header[1]
		case header[0] == ":path":
			request.Path = header[1]
		case !strings.HasPrefix(header[0], ":"):
			request.Headers = append(request.Headers, header)
		}
	}
	request.Body, _ = taken("body", func(place, length pointer) uint32 {
		return proxyGetBufferBytes(0, 0, math.MaxUint32, place, length)
	})
	response, err := handler(request)
	if err != nil {
		log(4, err.Error())
		response = Text(500, err.Error()+"\n")
	}
	b, bn := bytes(response.Body)
	h, hn := bytes(encode(response.Headers))
	proxySendLocalResponse(uint32(response.Status), nil, 0, b, bn, h, hn, -1)
	return pause
}

const (
	proceed = 0
	pause   = 1
)

//go:wasmexport proxy_abi_version_0_2_1
func proxyABIVersion() {}

// The function answers when the whole request is there: with its headers, its body, or its trailers.

//go:wasmexport proxy_on_request_headers
func proxyOnRequestHeaders(_, _, isEnd uint32) uint32 {
	if isEnd == 0 {
		return proceed
	}
	return answer()
}

//go:wasmexport proxy_on_request_body
func proxyOnRequestBody(_, _, isEnd uint32) uint32 {
	if isEnd == 0 {
		return proceed
	}
	return answer()
}

//go:wasmexport proxy_on_request_trailers
func proxyOnRequestTrailers(_, _ uint32) uint32 { return answer() }
