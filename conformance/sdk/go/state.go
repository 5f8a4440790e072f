package main

import (
	"context"
	"encoding/json"

	"github.com/dapr/go-sdk/client"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const store = "statestore"

// proveState is about get, save, delete, bulk, transactions, entity tags and time to live.
func proveState(ctx context.Context, dapr client.Client) {
	values(ctx, dapr)
	entityTags(ctx, dapr)
	firstWrite(ctx, dapr)
	many(ctx, dapr)
	timeToLive(ctx, dapr)
}

func values(ctx context.Context, dapr client.Client) {
	order := map[string]any{"id": 7.0, "lines": []any{"é", nil, 1.5}}
	text, err := json.Marshal(order)
	must("an order as JSON", err)
	must("save", dapr.SaveState(ctx, store, "json", text, map[string]string{"contentType": "application/json"}))
	item := get(ctx, dapr, "json")
	var read map[string]any
	must("an order from JSON", json.Unmarshal(item.Value, &read))
	equal("state: json comes back", read, order)
	holds("state: get has an etag", item.Etag != "", item)
	must("save", dapr.SaveState(ctx, store, "bytes", []byte{0, 255, 128}, nil))
	equal("state: bytes come back", get(ctx, dapr, "bytes").Value, []byte{0, 255, 128})
	missing := get(ctx, dapr, "never saved")
	holds("state: a missing key is empty", len(missing.Value) == 0 && missing.Etag == "", missing)
	_, err = dapr.GetState(ctx, "nostore", "key", nil)
	code("state: an unknown store is an error", err, codes.InvalidArgument)
	equal("state: an error carries its reason", reason(err), "DAPR_STATE_NOT_FOUND")
}

func entityTags(ctx context.Context, dapr client.Client) {
	must("save", dapr.SaveState(ctx, store, "tagged", []byte("one"), nil))
	stale := get(ctx, dapr, "tagged").Etag
	must("save with an etag", dapr.SaveStateWithETag(ctx, store, "tagged", []byte("two"), stale, nil))
	equal("state: right etag saves", string(get(ctx, dapr, "tagged").Value), "two")
	err := dapr.SaveStateWithETag(ctx, store, "tagged", []byte("three"), stale, nil)
	code("state: stale etag conflicts", err, codes.Aborted)
	err = dapr.DeleteStateWithETag(ctx, store, "tagged", &client.ETag{Value: stale}, nil, nil)
	code("state: delete with a stale etag conflicts", err, codes.Aborted)
	item := get(ctx, dapr, "tagged")
	equal("state: a conflict leaves the value", string(item.Value), "two")
	must("delete with an etag", dapr.DeleteStateWithETag(ctx, store, "tagged", &client.ETag{Value: item.Etag}, nil, nil))
	equal("state: right etag deletes", len(get(ctx, dapr, "tagged").Value), 0)
}

func firstWrite(ctx context.Context, dapr client.Client) {
	first := client.WithConcurrency(client.StateConcurrencyFirstWrite)
	must("the first write", dapr.SaveState(ctx, store, "first", []byte("one"), nil, first))
	code("state: first write wins", dapr.SaveState(ctx, store, "first", []byte("two"), nil, first), codes.Aborted)
}

func many(ctx context.Context, dapr client.Client) {
	must("bulk save", dapr.SaveBulkState(ctx, store, item("bulk-1", "one"), item("bulk-2", "two")))
	equal("state: bulk save and bulk get", getAll(ctx, dapr, "bulk-1", "bulk-2", "bulk-3"),
		map[string]string{"bulk-1": "one", "bulk-2": "two", "bulk-3": ""})
	must("a transaction", dapr.ExecuteStateTransaction(ctx, store, nil, []*client.StateOperation{
		{Type: client.StateOperationTypeUpsert, Item: item("bulk-3", "three")},
		{Type: client.StateOperationTypeDelete, Item: &client.SetStateItem{Key: "bulk-1"}},
	}))
	equal("state: transaction upserts and deletes", getAll(ctx, dapr, "bulk-1", "bulk-3"),
		map[string]string{"bulk-1": "", "bulk-3": "three"})
	stale := item("bulk-3", "changed")
	stale.Etag = &client.ETag{Value: "stale"}
	err := dapr.ExecuteStateTransaction(ctx, store, nil, []*client.StateOperation{
		{Type: client.StateOperationTypeUpsert, Item: item("bulk-2", "changed")},
		{Type: client.StateOperationTypeUpsert, Item: stale},
	})
	holds("state: transaction with a stale etag fails", err != nil, "it does not")
	equal("state: a failed transaction changes nothing", getAll(ctx, dapr, "bulk-2", "bulk-3"),
		map[string]string{"bulk-2": "two", "bulk-3": "three"})
	must("bulk delete", dapr.DeleteBulkState(ctx, store, []string{"bulk-2", "bulk-3"}, nil))
	equal("state: bulk delete", getAll(ctx, dapr, "bulk-2", "bulk-3"), map[string]string{"bulk-2": "", "bulk-3": ""})
}

func timeToLive(ctx context.Context, dapr client.Client) {
	must("save", dapr.SaveState(ctx, store, "short", []byte("lived"), map[string]string{"ttlInSeconds": "1"}))
	short := get(ctx, dapr, "short")
	equal("state: a value with a ttl is there", string(short.Value), "lived")
	holds("state: get tells when a value ends", short.Metadata["ttlExpireTime"] != "", short.Metadata)
	waitFor("end of a value", func() bool { return len(get(ctx, dapr, "short").Value) == 0 })
	holds("state: a ttl ends a value", true, nil)
}

func item(key, value string) *client.SetStateItem {
	return &client.SetStateItem{Key: key, Value: []byte(value)}
}

func get(ctx context.Context, dapr client.Client, key string) *client.StateItem {
	item, err := dapr.GetState(ctx, store, key, nil)
	must("get "+key, err)
	return item
}

func getAll(ctx context.Context, dapr client.Client, keys ...string) map[string]string {
	items, err := dapr.GetBulkState(ctx, store, keys, nil, 2)
	must("bulk get", err)
	values := make(map[string]string)
	for _, item := range items {
		values[item.Key] = string(item.Value)
	}
	return values
}

// The reason in the status's details.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}
