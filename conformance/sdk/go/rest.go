package main

import (
	"context"
	"time"

	"github.com/dapr/go-sdk/client"
	"google.golang.org/grpc/codes"
)

func proveHealth(ctx context.Context, dapr client.Client) {
	must("wait", dapr.Wait(ctx, 5*time.Second))
	holds("health: Wait", true, nil)
}

func proveSecrets(ctx context.Context, dapr client.Client) {
	secret, err := dapr.GetSecret(ctx, "secretstore", "greeting", nil)
	must("a secret", err)
	equal("secrets: get", secret, map[string]string{"greeting": "good evening"})
	secret, err = dapr.GetSecret(ctx, "secretstore", "database:user", nil)
	must("a nested secret", err)
	equal("secrets: a nested value has a path", secret, map[string]string{"database:user": "ottavo"})
	secrets, err := dapr.GetBulkSecret(ctx, "secretstore", nil)
	must("all secrets", err)
	equal("secrets: bulk get", secrets, map[string]map[string]string{
		"greeting":          {"greeting": "good evening"},
		"database:user":     {"database:user": "ottavo"},
		"database:password": {"database:password": "not a real one"},
	})
	_, err = dapr.GetSecret(ctx, "secretstore", "nothing", nil)
	code("secrets: a missing secret is an error", err, codes.Internal)
}

func proveMetadata(ctx context.Context, dapr client.Client, appID string) {
	metadata, err := dapr.GetMetadata(ctx)
	must("metadata", err)
	equal("metadata: names the application", metadata.ID, appID)
	components := make(map[string]string)
	for _, component := range metadata.RegisteredComponents {
		components[component.Name] = component.Type + "/" + component.Version
	}
	equal("metadata: lists the components", components, map[string]string{
		"statestore":  "state.in-memory/v1",
		"pubsub":      "pubsub.in-memory/v1",
		"secretstore": "secretstores.local.file/v1",
	})
	topics := make(map[string]bool)
	for _, subscription := range metadata.Subscriptions {
		topics[subscription.Topic] = true
	}
	holds("metadata: lists the subscriptions", topics["programmatic"] && topics["declared"], topics)
	must("set metadata", dapr.SetMetadata(ctx, "programmed in", "Go"))
	metadata, err = dapr.GetMetadata(ctx)
	must("metadata", err)
	equal("metadata: set is read back", metadata.ExtendedMetadata["programmed in"], "Go")
}

func proveShutdown(ctx context.Context, dapr client.Client) {
	must("shutdown", dapr.Shutdown(ctx))
	holds("shutdown: is accepted", true, nil)
}
