package main

import (
	"fmt"
	"os"
	"reflect"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// How many facts hold so far.
var proven int

// holds proves fact when condition is true; seen is shown when it is not, and the program ends.
func holds(fact string, condition bool, seen any) {
	if !condition {
		fail("%s: %v", fact, seen)
	}
	proven++
	fmt.Println("ok", fact)
}

// equal proves fact when both values are deeply equal.
func equal(fact string, seen, expected any) {
	holds(fact, reflect.DeepEqual(seen, expected), fmt.Sprintf("expected %#v, got %#v", expected, seen))
}

// code proves fact when err is a gRPC status with this code.
func code(fact string, err error, expected codes.Code) {
	holds(fact, status.Code(err) == expected, fmt.Sprintf("expected %v, got %v", expected, err))
}

// must ends the program when something failed on the way to a fact.
func must(what string, err error) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

// waitFor waits until condition is true, twenty seconds at most.
func waitFor(what string, condition func() bool) {
	for end := time.Now().Add(20 * time.Second); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			fail("no %s within 20 seconds", what)
		}
	}
}

func fail(format string, values ...any) {
	fmt.Printf("NOT PROVEN "+format+"\n", values...)
	os.Exit(1)
}
