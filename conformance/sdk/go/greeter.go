package main

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// greeterService describes a gRPC service of the application's own, beside Dapr's. There is no generated code: its
// messages are well-known types.
var greeterService = grpc.ServiceDesc{
	ServiceName: "ottavo.sdk.Greeter",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Greet",
		Handler: func(service any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			request := new(wrapperspb.StringValue)
			if err := decode(request); err != nil {
				return nil, err
			}
			return service.(greeter).greet(ctx, request)
		},
	}},
	Streams: []grpc.StreamDesc{{
		StreamName: "Count",
		Handler: func(service any, stream grpc.ServerStream) error {
			request := new(wrapperspb.StringValue)
			if err := stream.RecvMsg(request); err != nil {
				return err
			}
			return service.(greeter).count(request, stream)
		},
		ServerStreams: true,
	}},
}

type greeter struct{}

func (greeter) greet(ctx context.Context, request *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	if request.GetValue() == "" {
		return nil, status.Error(codes.OutOfRange, "who?")
	}
	order := metadata.ValueFromIncomingContext(ctx, "x-order")
	if err := grpc.SetHeader(ctx, metadata.Pairs("x-spout", "here")); err != nil {
		return nil, err
	}
	return wrapperspb.String(fmt.Sprintf("hello %s, order %v", request.GetValue(), order)), nil
}

func (greeter) count(request *wrapperspb.StringValue, stream grpc.ServerStream) error {
	last, err := strconv.Atoi(request.GetValue())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	for number := range last {
		if err := stream.SendMsg(wrapperspb.String(strconv.Itoa(number))); err != nil {
			return err
		}
	}
	return nil
}
