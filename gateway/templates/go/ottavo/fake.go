//go:build !wasip1

package ottavo

// Fake is the sidecar of tests.
var Fake Sidecar

// Sidecar keeps what was done with it.
type Sidecar struct {
	// State and Secrets are by store and name.
	State   map[[2]string][]byte
	Secrets map[[2]string]string
	// Answers are those of functions, applications and bindings, by id or name; without one a call fails.
	Answers map[string][]byte
	Calls   []Call
	Lines   []string
}

// Call is what was published, invoked or bound: pubsub, id or name; topic, method or operation; data.
type Call struct {
	To, What string
	Data     []byte
}

// Reset gives a test a fresh sidecar.
func Reset() {
	Fake = Sidecar{State: map[[2]string][]byte{}, Secrets: map[[2]string]string{}, Answers: map[string][]byte{}}
}

func init() { Reset() }

func getState(store, key string) ([]byte, error) { return Fake.State[[2]string{store, key}], nil }

func setState(store, key string, value []byte) error {
	Fake.State[[2]string{store, key}] = value
	return nil
}

func deleteState(store, key string) error {
	delete(Fake.State, [2]string{store, key})
	return nil
}

func publish(pubsub, topic string, data []byte, _ string) error {
	Fake.Calls = append(Fake.Calls, Call{pubsub, topic, data})
	return nil
}

func getSecret(store, name string) (string, error) {
	if secret, ok := Fake.Secrets[[2]string{store, name}]; ok {
		return secret, nil
	}
	return "", &Error{"GetSecret", 10}
}

func invoke(id, method string, body []byte) ([]byte, error) {
	return called("Invoke", id, method, body)
}

func bind(name, operation string, data []byte) ([]byte, error) {
	return called("Bind", name, operation, data)
}

func called(call, id, what string, data []byte) ([]byte, error) {
	Fake.Calls = append(Fake.Calls, Call{id, what, data})
	if answer, ok := Fake.Answers[id]; ok {
		return answer, nil
	}
	return nil, &Error{call, 10}
}

func log(_ uint32, line string) { Fake.Lines = append(Fake.Lines, line) }
