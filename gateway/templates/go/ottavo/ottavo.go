// Package ottavo is the bridge to the sidecar: requests come in, and the building blocks are called, through proxy-wasm.
// Under `go test` the sidecar is a fake (fake.go): it keeps state in memory, and what was sent for the test to look at.
package ottavo

import "fmt"

// Request is what the function is asked.
type Request struct {
	Method string
	// Path has the query, too.
	Path string
	// Headers have names in lower case.
	Headers [][2]string
	Body    []byte
}

// Header gives the first value of a header, by its name in lower case.
func (r *Request) Header(name string) string {
	for _, header := range r.Headers {
		if header[0] == name {
			return header[1]
		}
	}
	return ""
}

// Response is what the function answers.
type Response struct {
	Status  int
	Headers [][2]string
	Body    []byte
}

// Text is an answer in plain text.
func Text(status int, text string) *Response {
	return &Response{status, [][2]string{{"content-type", "text/plain; charset=utf-8"}}, []byte(text)}
}

// JSON is an answer in JSON.
func JSON(status int, json []byte) *Response {
	return &Response{status, [][2]string{{"content-type", "application/json"}}, json}
}

// Error is a call that the sidecar refused, or that failed; the sidecar's log says why.
type Error struct {
	Call   string
	Status uint32
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s failed with status %d: the sidecar's log says why", e.Call, e.Status)
}

// Handle names the function that answers; an error becomes status 500.
func Handle(function func(*Request) (*Response, error)) { handler = function }

var handler func(*Request) (*Response, error)

// GetState gives the value of a key; empty when there is none. It needs the grant `state: [STORE:read]`.
func GetState(store, key string) ([]byte, error) { return getState(store, key) }

// SetState saves the value of a key. It needs the grant `state: [STORE]`.
func SetState(store, key string, value []byte) error { return setState(store, key, value) }

// DeleteState deletes a key, if it is there. It needs the grant `state: [STORE]`.
func DeleteState(store, key string) error { return deleteState(store, key) }

// Publish sends a message to a topic. It needs the grant `publish: [PUBSUB/TOPIC]`.
func Publish(pubsub, topic string, data []byte, contentType string) error {
	return publish(pubsub, topic, data, contentType)
}

// GetSecret reads a secret of one value. It needs the grant `secrets: [STORE/NAME]`.
func GetSecret(store, name string) (string, error) { return getSecret(store, name) }

// Invoke calls another function, or an application. It needs the grant `invoke: [ID]`.
func Invoke(id, method string, body []byte) ([]byte, error) { return invoke(id, method, body) }

// Bind calls an output binding. It needs the grant `bindings: [NAME]`.
func Bind(name, operation string, data []byte) ([]byte, error) { return bind(name, operation, data) }

// Log writes a line into the sidecar's log.
func Log(text string) { log(2, text) }
