package main

import (
	"fmt"
	"strconv"

	"my-function/ottavo"
)

// handle answers a request. Messages of a topic and ticks of a schedule are requests, too: POST to the path of their
// trigger.
func handle(request *ottavo.Request) (*ottavo.Response, error) {
	saved, err := ottavo.GetState("statestore", "count")
	if err != nil {
		return nil, err
	}
	count, _ := strconv.Atoi(string(saved))
	count++
	if err := ottavo.SetState("statestore", "count", []byte(strconv.Itoa(count))); err != nil {
		return nil, err
	}
	return ottavo.Text(200, fmt.Sprintf("%s %s: call %d\n", request.Method, request.Path, count)), nil
}

func init() { ottavo.Handle(handle) }

func main() {}
