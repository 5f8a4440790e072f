package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/dapr/go-sdk/client"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func echo(ctx context.Context, dapr client.Client, appID, method string) echoed {
	ctx = metadata.AppendToOutgoingContext(ctx, "x-order", "42")
	content := &client.DataContent{Data: []byte(`{"order":1}`), ContentType: "application/json"}
	answer, err := dapr.InvokeMethodWithContent(ctx, appID, method, "put", content)
	must("echo", err)
	var read echoed
	must("an echo from JSON", json.Unmarshal(answer, &read))
	return read
}

func proveInvokeHTTP(ctx context.Context, dapr client.Client, appID string) {
	read := echo(ctx, dapr, appID, "echo?a=b%20c&d=%C3%A9")
	equal("invoke: body and content type arrive", []string{read.Body, read.ContentType}, []string{`{"order":1}`, "application/json"})
	equal("invoke: verb and query string arrive", []string{read.Verb, read.Query}, []string{"PUT", "a=b%20c&d=%C3%A9"})
	equal("invoke: metadata arrives", read.Order, "42")
	_, err := dapr.InvokeMethod(ctx, appID, "teapot", "post")
	about := make(map[string]string)
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			about = info.GetMetadata()
		}
	}
	equal("invoke: the application's error status and body come back",
		[]string{about["http.code"], strings.TrimSpace(about["http.error_message"])}, []string{"418", "short and stout"})
	_, err = dapr.InvokeMethod(ctx, appID, "no/such/method", "get")
	code("invoke: a missing method is not found", err, codes.NotFound)
}

func proveInvokeGRPC(ctx context.Context, dapr client.Client, appID string) {
	read := echo(ctx, dapr, appID, "echo?a=b%20c&d=%C3%A9")
	equal("invoke: body and content type arrive", []string{read.Body, read.ContentType}, []string{`{"order":1}`, "application/json"})
	equal("invoke: verb and query string arrive", []string{read.Verb, read.Query}, []string{"PUT", "a=b%20c&d=%C3%A9"})
	equal("invoke: metadata arrives", read.Order, "42")
	_, err := dapr.InvokeMethod(ctx, appID, "failing", "post")
	equal("invoke: the application's error comes back", status.Convert(err).Message(), "short and stout")
	code("invoke: its code comes back", err, codes.Unknown)
}

func proveProxy(ctx context.Context, dapr client.Client, appID string) {
	const greet, count = "/ottavo.sdk.Greeter/Greet", "/ottavo.sdk.Greeter/Count"
	connection := dapr.GrpcClientConn()
	called := metadata.AppendToOutgoingContext(ctx, "dapr-app-id", appID, "x-order", "42")
	var header metadata.MD
	answer := new(wrapperspb.StringValue)
	must("greet", connection.Invoke(called, greet, wrapperspb.String("Ada"), answer, grpc.Header(&header)))
	equal("proxy: a call of an own service", answer.GetValue(), "hello Ada, order [42]")
	equal("proxy: metadata comes back", header.Get("x-spout"), []string{"here"})
	err := connection.Invoke(called, greet, wrapperspb.String(""), answer)
	code("proxy: the service's code comes back", err, codes.OutOfRange)
	equal("proxy: the service's message comes back", status.Convert(err).Message(), "who?")
	stream, err := connection.NewStream(called, &grpc.StreamDesc{ServerStreams: true}, count)
	must("a stream", err)
	must("a request", stream.SendMsg(wrapperspb.String("3")))
	must("its end", stream.CloseSend())
	var numbers []string
	for {
		if err = stream.RecvMsg(answer); errors.Is(err, io.EOF) {
			break
		}
		must("an answer", err)
		numbers = append(numbers, answer.GetValue())
	}
	equal("proxy: a stream of answers", numbers, []string{"0", "1", "2"})
	err = connection.Invoke(ctx, greet, wrapperspb.String("Ada"), answer)
	code("proxy: a call without an app id is an error", err, codes.Unknown)
}
