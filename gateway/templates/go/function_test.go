package main

import (
	"testing"

	"my-function/ottavo"
)

func TestCallsAreCounted(t *testing.T) {
	ottavo.Reset()
	for number, want := range []string{"GET /hello: call 1\n", "GET /hello: call 2\n"} {
		answer, err := handle(&ottavo.Request{Method: "GET", Path: "/hello"})
		if err != nil || answer.Status != 200 || string(answer.Body) != want {
			t.Fatalf("call %d: %v, %v", number, answer, err)
		}
	}
	if saved, _ := ottavo.GetState("statestore", "count"); string(saved) != "2" {
		t.Fatalf("saved: %s", saved)
	}
}
