package main

import (
	"context"
	"slices"
	"sync"

	"github.com/dapr/go-sdk/client"
	"github.com/dapr/go-sdk/service/common"
	"google.golang.org/grpc/codes"
)

type order map[string]any

func provePubsub(ctx context.Context, dapr client.Client, inbox *inbox, appID string) {
	delivered(ctx, dapr, inbox, appID)
	answers(ctx, dapr, inbox)
	payloads(ctx, dapr, inbox)
	streams(ctx, dapr)
	err := dapr.PublishEvent(ctx, "nobody", "topic", "data")
	code("pubsub: an unknown component is an error", err, codes.InvalidArgument)
}

func publish(ctx context.Context, dapr client.Client, topic string, number float64, options ...client.PublishEventOption) {
	must("publish", dapr.PublishEvent(ctx, pubsub, topic, order{"order": number}, options...))
}

func number(event common.TopicEvent) any {
	data, _ := event.Data.(map[string]any)
	return data["order"]
}

func delivered(ctx context.Context, dapr client.Client, inbox *inbox, appID string) {
	publish(ctx, dapr, "programmatic", 1)
	event := inbox.get("programmatic", 1)[0]
	equal("pubsub: programmatic subscription", number(event), 1.0)
	equal("pubsub: the cloud event is filled in",
		[]string{event.Source, event.Type, event.Topic, event.PubsubName, event.DataContentType, event.SpecVersion},
		[]string{appID, "com.dapr.event.sent", "programmatic", pubsub, "application/json", "1.0"})
	must("publish", dapr.PublishEvent(ctx, pubsub, "programmatic", "text"))
	equal("pubsub: text stays text", inbox.get("programmatic", 2)[1].Data, "text")
	publish(ctx, dapr, "declared", 2)
	equal("pubsub: declarative subscription", number(inbox.get("declared", 1)[0]), 2.0)
	publish(ctx, dapr, "routed", 6)
	publish(ctx, dapr, "routed", 7, client.PublishEventWithMetadata(map[string]string{"cloudevent.type": "special"}))
	equal("pubsub: a rule chooses the route", number(inbox.get("special", 1)[0]), 7.0)
	equal("pubsub: no rule is the default route", number(inbox.get("otherwise", 1)[0]), 6.0)
}

func answers(ctx context.Context, dapr client.Client, inbox *inbox) {
	publish(ctx, dapr, "retried", 3)
	equal("pubsub: an answer RETRY brings the event again", number(inbox.get("retried", 2)[1]), 3.0)
	publish(ctx, dapr, "dropped", 4)
	equal("pubsub: a dropped event goes to the dead letter topic", number(inbox.get("dead", 1)[0]), 4.0)
	publish(ctx, dapr, "refused", 5)
	equal("pubsub: an event refused to the end goes to the dead letter topic", number(inbox.get("dead", 2)[1]), 5.0)
}

func payloads(ctx context.Context, dapr client.Client, inbox *inbox) {
	must("publish", dapr.PublishEvent(ctx, pubsub, "raw", []byte("\x00raw\xff"), client.PublishEventWithRawPayload()))
	equal("pubsub: raw payload", inbox.get("raw", 1)[0].RawData, []byte("\x00raw\xff"))
	response := dapr.PublishEvents(ctx, pubsub, "bulk", []any{
		client.PublishEventsEvent{EntryID: "first", Data: []byte(`{"order":8}`), ContentType: "application/json"},
		order{"order": 9},
		"text",
	})
	holds("pubsub: bulk publish has no failed entry", response.Error == nil && len(response.FailedEvents) == 0, response)
	var seen []string
	for _, event := range inbox.get("bulk", 3) {
		seen = append(seen, string(event.RawData))
	}
	slices.Sort(seen)
	// The text is JSON over HTTP and bare over gRPC.
	holds("pubsub: bulk publish delivers each entry", slices.Contains(seen, `{"order":8}`) && slices.Contains(seen, `{"order":9}`) &&
		(slices.Contains(seen, "text") || slices.Contains(seen, `"text"`)), seen)
}

func streams(ctx context.Context, dapr client.Client) {
	dead := "streamed-dead"
	stream, err := dapr.Subscribe(ctx, client.SubscriptionOptions{PubsubName: pubsub, Topic: "streamed", DeadLetterTopic: &dead})
	must("a stream", err)
	receive := func() *client.SubscriptionMessage {
		message, err := stream.Receive()
		must("a message", err)
		return message
	}
	publish(ctx, dapr, "streamed", 10)
	message := receive()
	equal("pubsub: streaming subscription", number(*message.TopicEvent), 10.0)
	must("an answer", message.Retry())
	message = receive()
	equal("pubsub: a stream is given a retried event again", number(*message.TopicEvent), 10.0)
	must("an answer", message.Success())

	var lock sync.Mutex
	var letters []any
	stop, err := dapr.SubscribeWithHandler(ctx, client.SubscriptionOptions{PubsubName: pubsub, Topic: dead},
		func(event *common.TopicEvent) common.SubscriptionResponseStatus {
			lock.Lock()
			defer lock.Unlock()
			letters = append(letters, number(*event))
			return common.SubscriptionResponseStatusSuccess
		})
	must("a stream with a handler", err)
	publish(ctx, dapr, "streamed", 11)
	must("an answer", receive().Drop())
	waitFor("dead letter", func() bool {
		lock.Lock()
		defer lock.Unlock()
		return len(letters) > 0
	})
	equal("pubsub: a stream with a handler, of dead letters", letters, []any{11.0})
	must("an end", stop())
	must("an end", stream.Close())
	holds("pubsub: streams close", true, nil)
}
