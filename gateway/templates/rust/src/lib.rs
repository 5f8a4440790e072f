//! The function.

mod ottavo;

use ottavo::{get_state, set_state, Error, Request, Response};

/// Answers a request. Messages of a topic and ticks of a schedule are requests, too: POST to the path of their trigger.
fn handle(request: &Request) -> Result<Response, Error> {
    let saved = get_state("statestore", "count")?;
    let count = String::from_utf8_lossy(&saved).parse().unwrap_or(0) + 1;
    set_state("statestore", "count", count.to_string().as_bytes())?;
    Ok(Response::text(
        200,
        format!("{} {}: call {count}\n", request.method, request.path),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted() {
        let answer = handle(&Request::get("/hello")).unwrap();
        assert_eq!(
            (answer.status, answer.body),
            (200, b"GET /hello: call 1\n".to_vec())
        );
        let answer = handle(&Request::post("/hello", "body")).unwrap();
        assert_eq!(answer.body, b"POST /hello: call 2\n");
        assert_eq!(get_state("statestore", "count").unwrap(), b"2");
    }
}
