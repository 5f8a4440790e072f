package ottavo.sdk;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.dapr.client.domain.CloudEvent;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.function.Function;

/** The application over HTTP: the JDK's server, with events read by the SDK's {@link CloudEvent}. */
final class HttpApp {
  private static final ObjectMapper JSON = new ObjectMapper();

  private static final List<Map<String, Object>> SUBSCRIPTIONS = List.of(
      subscription("programmatic", Map.of()),
      subscription("retried", Map.of()),
      subscription("dropped", Map.of("deadLetterTopic", "dead")),
      subscription("refused", Map.of("deadLetterTopic", "dead")),
      subscription("dead", Map.of()),
      subscription("raw", Map.of("metadata", Map.of("rawPayload", "true"))),
      subscription("bulk", Map.of()),
      Map.of("pubsubname", "pubsub", "topic", "routed", "routes", Map.of(
          "rules", List.of(Map.of("match", "event.type == \"special\"", "path", "/special")),
          "default", "/otherwise")));

  private HttpApp() {}

  private static Map<String, Object> subscription(String topic, Map<String, Object> more) {
    Map<String, Object> fields = new HashMap<>(more);
    fields.putAll(Map.of("pubsubname", "pubsub", "topic", topic, "route", "/" + topic));
    return fields;
  }

  static void start(int port, Inbox inbox) throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
    server.setExecutor(Executors.newFixedThreadPool(8, HttpApp::daemon));
    server.createContext("/", exchange -> answer(exchange, 404, new byte[0]));
    server.createContext("/dapr/subscribe", exchange -> answer(exchange, 200, JSON.writeValueAsBytes(SUBSCRIPTIONS)));
    server.createContext("/teapot", exchange -> answer(exchange, 418, "short and stout".getBytes(StandardCharsets.UTF_8)));
    server.createContext("/echo", HttpApp::echo);
    for (String name : List.of("programmatic", "dead", "raw", "bulk", "special", "otherwise", "declared")) {
      topic(server, name, event -> keep(inbox, name, event, "SUCCESS"));
    }
    topic(server, "dropped", event -> keep(inbox, "dropped", event, "DROP"));
    topic(server, "refused", event -> keep(inbox, "refused", event, "RETRY"));
    topic(server, "retried", event -> inbox.put("retried", event) == 1 ? "RETRY" : "SUCCESS");
    server.start();
  }

  private static Thread daemon(Runnable work) {
    Thread thread = new Thread(work);
    thread.setDaemon(true);
    return thread;
  }

  private static String keep(Inbox inbox, String name, Inbox.Event event, String status) {
    inbox.put(name, event);
    return status;
  }

  private static void topic(HttpServer server, String name, Function<Inbox.Event, String> handler) {
    server.createContext("/" + name, exchange -> {
      CloudEvent<?> event = CloudEvent.deserialize(exchange.getRequestBody().readAllBytes());
      Object data = event.getBinaryData() == null ? event.getData() : event.getBinaryData();
      String status = handler.apply(new Inbox.Event(event.getSource(), event.getType(), event.getTopic(),
          event.getPubsubName(), event.getDatacontenttype(), data));
      answer(exchange, 200, JSON.writeValueAsBytes(Map.of("status", status)));
    });
  }

  private static void echo(HttpExchange exchange) throws IOException {
    String query = exchange.getRequestURI().getRawQuery();
    String order = exchange.getRequestHeaders().getFirst("x-order");
    answer(exchange, 200, JSON.writeValueAsBytes(Map.of(
        "verb", exchange.getRequestMethod(),
        "query", query == null ? "" : query,
        "order", order == null ? "" : order,
        "body", new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8))));
  }

  private static void answer(HttpExchange exchange, int status, byte[] body) throws IOException {
    exchange.getRequestBody().readAllBytes();
    exchange.getResponseHeaders().set("content-type", status == 418 ? "text/plain" : "application/json");
    exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
    exchange.getResponseBody().write(body);
    exchange.close();
  }
}
