package ottavo.sdk;

import com.google.protobuf.StringValue;
import io.dapr.client.DaprClient;
import io.dapr.client.DaprHttp.HttpMethods;
import io.dapr.client.domain.HttpExtension;
import io.dapr.exceptions.DaprException;
import io.dapr.utils.TypeRef;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Invocation of this program through its own sidecar, and proxying of its own gRPC service. */
final class InvokeProof {
  private final Facts facts;
  private final DaprClient dapr;
  private final String appId;

  InvokeProof(Facts facts, DaprClient dapr, String appId) {
    this.facts = facts;
    this.dapr = dapr;
    this.appId = appId;
  }

  private static HttpExtension put() {
    return new HttpExtension(HttpMethods.PUT, Map.of("a", List.of("b c", "é")), Map.of("x-order", "42"));
  }

  void proveHttp() throws Exception {
    Map<String, String> echo = dapr.invokeMethod(
        appId, "echo", Map.of("order", 1), put(), new TypeRef<Map<String, String>>() {}).block();
    facts.equal("invoke: body arrives", echo.get("body"), "{\"order\":1}");
    facts.equal("invoke: verb arrives", echo.get("verb"), "PUT");
    facts.equal("invoke: query string arrives", echo.get("query"), "a=b+c&a=%C3%A9");
    facts.equal("invoke: metadata arrives", echo.get("order"), "42");
    DaprException failed = failed("teapot", HttpExtension.POST);
    facts.equal("invoke: the application's error status comes back", failed.getHttpStatusCode(), 418);
    facts.equal("invoke: the application's error body comes back",
        new String(failed.getPayload(), StandardCharsets.UTF_8), "short and stout");
    DaprException missing = failed("no/such/method", HttpExtension.GET);
    facts.equal("invoke: a missing method is 404", missing.getHttpStatusCode(), 404);
  }

  void proveGrpc() throws Exception {
    List<Object> echo = dapr.invokeMethod(
        appId, "echo", Map.of("order", 1), put(), new TypeRef<List<Object>>() {}).block();
    facts.equal("invoke: HTTP reaches a gRPC application", echo, List.of("PUT", "a=b+c&a=%C3%A9", Map.of("order", 1)));
    DaprException failed = failed("missing", HttpExtension.POST);
    facts.equal("invoke: the application's error is an HTTP status", failed.getHttpStatusCode(), 404);
    proxy();
  }

  private void proxy() {
    Metadata metadata = new Metadata();
    metadata.put(Greeter.ORDER, "42");
    Greeter.Stub greeter = dapr.newGrpcStub(appId, Greeter.Stub::new)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata));
    facts.equal("proxy: a call of an own service", greeter.greet("Ada"), "hello Ada, order 42");
    Status failed = failure(() -> greeter.greet(""));
    facts.equal("proxy: the service's error comes back",
        List.of(failed.getCode(), failed.getDescription()), List.of(Status.Code.OUT_OF_RANGE, "who?"));
    List<String> numbers = new ArrayList<>();
    greeter.count(3).forEachRemaining((StringValue number) -> numbers.add(number.getValue()));
    facts.equal("proxy: a stream of answers", numbers, List.of("0", "1", "2"));
    int port = Integer.parseInt(System.getenv("DAPR_GRPC_PORT"));
    ManagedChannel channel = ManagedChannelBuilder.forAddress("127.0.0.1", port).usePlaintext().build();
    Status lost = failure(() -> new Greeter.Stub(channel).greet("Ada"));
    channel.shutdownNow();
    facts.equal("proxy: a call without an app id is an error", lost.getCode(), Status.Code.UNKNOWN);
  }

  private DaprException failed(String method, HttpExtension verb) throws Exception {
    return Facts.error(() -> dapr.invokeMethod(appId, method, verb, Map.of()).block());
  }

  private static Status failure(Runnable call) {
    try {
      call.run();
    } catch (StatusRuntimeException error) {
      return error.getStatus();
    }
    throw new Facts.NotAFact("expected an error, got an answer");
  }
}
