package ottavo.sdk;

import io.dapr.client.DaprClient;
import io.dapr.client.DaprClientBuilder;
import io.dapr.client.DaprPreviewClient;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

/**
 * Proves, as one application and its client, that the unmodified Java SDK works with a sidecar.
 *
 * <p>It reads what {@code dapr run} gives an application: {@code APP_ID}, {@code APP_PORT}, {@code APP_PROTOCOL}
 * (http or grpc), {@code DAPR_HTTP_PORT} and {@code DAPR_GRPC_PORT}.
 */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    Facts facts = new Facts();
    int code = 0;
    try {
      prove(facts);
      System.out.println("all " + facts.total() + " facts hold");
    } catch (Throwable wrong) {
      wrong.printStackTrace();
      System.out.println("NOT PROVEN " + wrong.getMessage());
      code = 1;
    }
    // The servers of the application would keep it alive.
    System.exit(code);
  }

  private static void prove(Facts facts) throws Exception {
    String appId = System.getenv("APP_ID");
    boolean http = System.getenv("APP_PROTOCOL").equals("http");
    int port = Integer.parseInt(System.getenv("APP_PORT"));
    Inbox inbox = new Inbox();
    if (http) {
      HttpApp.start(port, inbox);
    } else {
      GrpcApp.start(port, inbox);
    }
    DaprClientBuilder builder = new DaprClientBuilder();
    try (DaprClient dapr = builder.build(); DaprPreviewClient preview = builder.buildPreviewClient()) {
      dapr.waitForSidecar(20_000).block();
      facts.holds("health: waitForSidecar", true, "");
      Facts.waitFor("sidecar that has found this application", Main::ready);
      RestProof.metadata(facts, dapr, appId);
      RestProof.secrets(facts, dapr);
      new StateProof(facts, dapr).prove();
      InvokeProof invoke = new InvokeProof(facts, dapr, appId);
      if (http) {
        invoke.proveHttp();
      } else {
        invoke.proveGrpc();
      }
      new PubsubProof(facts, dapr, preview, inbox, appId).prove();
      RestProof.shutdown(facts, dapr);
    }
  }

  private static boolean ready() throws InterruptedException {
    URI uri = URI.create("http://127.0.0.1:" + System.getenv("DAPR_HTTP_PORT") + "/v1.0/healthz");
    try {
      HttpRequest request = HttpRequest.newBuilder(uri).build();
      return HttpClient.newHttpClient().send(request, BodyHandlers.discarding()).statusCode() == 204;
    } catch (IOException notYet) {
      return false;
    }
  }
}
