package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"

	"github.com/dapr/go-sdk/service/common"
	daprgrpc "github.com/dapr/go-sdk/service/grpc"
	daprhttp "github.com/dapr/go-sdk/service/http"
	"github.com/go-chi/chi/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

const pubsub = "pubsub"

// inbox holds the events that the application was given, by topic.
type inbox struct {
	lock   sync.Mutex
	events map[string][]common.TopicEvent
}

func newInbox() *inbox {
	return &inbox{events: make(map[string][]common.TopicEvent)}
}

// put keeps an event and says how many came on this topic, with it.
func (i *inbox) put(topic string, event *common.TopicEvent) int {
	i.lock.Lock()
	defer i.lock.Unlock()
	i.events[topic] = append(i.events[topic], *event)
	return len(i.events[topic])
}

// get gives the first count events of topic, once that many have come.
func (i *inbox) get(topic string, count int) []common.TopicEvent {
	var events []common.TopicEvent
	waitFor("event on "+topic, func() bool {
		i.lock.Lock()
		defer i.lock.Unlock()
		events = i.events[topic]
		return len(events) >= count
	})
	return events[:count]
}

// serve starts the application in the background, over HTTP or over gRPC.
func serve(protocol, address string, inbox *inbox) {
	var service common.Service
	if protocol == "http" {
		routes := chi.NewMux()
		// The SDK's handlers can answer no status but 500.
		routes.Post("/teapot", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "short and stout", http.StatusTeapot)
		})
		service = daprhttp.NewServiceWithMux(address, routes)
	} else {
		listener, err := net.Listen("tcp", address)
		must("a listener", err)
		server := grpc.NewServer()
		server.RegisterService(&greeterService, greeter{})
		service = daprgrpc.NewServiceWithGrpcServer(listener, server)
	}
	methods(service)
	topics(service, inbox)
	go func() {
		must("the application", service.Start())
	}()
}

// What the method echo answers.
type echoed struct{ Verb, Query, Order, ContentType, Body string }

func methods(service common.Service) {
	must("a method", service.AddServiceInvocationHandler("echo",
		func(ctx context.Context, in *common.InvocationEvent) (*common.Content, error) {
			answer := echoed{Verb: in.Verb, Query: in.QueryString, ContentType: in.ContentType, Body: string(in.Data)}
			if values := metadata.ValueFromIncomingContext(ctx, "x-order"); len(values) > 0 {
				answer.Order = values[0]
			}
			text, err := json.Marshal(answer)
			return &common.Content{Data: text, ContentType: "application/json"}, err
		}))
	must("a method", service.AddServiceInvocationHandler("failing",
		func(context.Context, *common.InvocationEvent) (*common.Content, error) {
			return nil, errors.New("short and stout")
		}))
}

func topics(service common.Service, inbox *inbox) {
	keep := func(name string, retry bool, err error) common.TopicEventHandler {
		return func(_ context.Context, event *common.TopicEvent) (bool, error) {
			inbox.put(name, event)
			return retry, err
		}
	}
	subscribe := func(subscription common.Subscription, handler common.TopicEventHandler) {
		subscription.PubsubName = pubsub
		if subscription.Route == "" {
			subscription.Route = "/" + subscription.Topic
		}
		must("a subscription", service.AddTopicEventHandler(&subscription, handler))
	}
	no := errors.New("no")
	subscribe(common.Subscription{Topic: "programmatic"}, keep("programmatic", false, nil))
	subscribe(common.Subscription{Topic: "retried"}, func(_ context.Context, event *common.TopicEvent) (bool, error) {
		if inbox.put("retried", event) == 1 {
			return true, no
		}
		return false, nil
	})
	subscribe(common.Subscription{Topic: "dropped", DeadLetterTopic: "dead"}, keep("dropped", false, no))
	subscribe(common.Subscription{Topic: "refused", DeadLetterTopic: "dead"}, keep("refused", true, no))
	subscribe(common.Subscription{Topic: "dead"}, keep("dead", false, nil))
	subscribe(common.Subscription{Topic: "raw", Metadata: map[string]string{"rawPayload": "true"}}, keep("raw", false, nil))
	subscribe(common.Subscription{Topic: "bulk"}, keep("bulk", false, nil))
	subscribe(common.Subscription{Topic: "routed", Route: "/otherwise"}, keep("otherwise", false, nil))
	subscribe(common.Subscription{Topic: "routed", Route: "/special", Match: `event.type == "special"`, Priority: 1},
		keep("special", false, nil))
	// The route of resources/subscriptions.yaml: over gRPC only a handler without validation is given a topic that
	// the service did not subscribe to itself.
	subscribe(common.Subscription{Topic: "unused", Route: "/declared", DisableTopicValidation: true}, keep("declared", false, nil))
}
