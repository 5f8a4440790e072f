// Proves, as one application and its client, that the unmodified Go SDK works with a sidecar.
//
// It reads what `dapr run` gives an application: APP_ID, APP_PORT, APP_PROTOCOL (http or grpc), DAPR_HTTP_PORT and
// DAPR_GRPC_PORT.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/dapr/go-sdk/client"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	appID, protocol := os.Getenv("APP_ID"), os.Getenv("APP_PROTOCOL")
	inbox := newInbox()
	serve(protocol, "127.0.0.1:"+os.Getenv("APP_PORT"), inbox)
	dapr, err := client.NewClient()
	must("a client", err)
	defer dapr.Close()
	waitFor("sidecar that has found this application", ready)

	proveHealth(ctx, dapr)
	proveMetadata(ctx, dapr, appID)
	proveSecrets(ctx, dapr)
	proveState(ctx, dapr)
	if protocol == "http" {
		proveInvokeHTTP(ctx, dapr, appID)
	} else {
		proveInvokeGRPC(ctx, dapr, appID)
		proveProxy(ctx, dapr, appID)
	}
	provePubsub(ctx, dapr, inbox, appID)
	proveShutdown(ctx, dapr)
	fmt.Printf("all %d facts hold\n", proven)
}

func ready() bool {
	answer, err := http.Get("http://127.0.0.1:" + os.Getenv("DAPR_HTTP_PORT") + "/v1.0/healthz")
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusNoContent
}
