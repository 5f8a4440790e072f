package ottavo.sdk;

import io.dapr.client.DaprClient;
import io.dapr.client.DaprPreviewClient;
import io.dapr.client.Subscription;
import io.dapr.client.SubscriptionListener;
import io.dapr.client.domain.BulkPublishEntry;
import io.dapr.client.domain.BulkPublishRequest;
import io.dapr.client.domain.BulkPublishResponse;
import io.dapr.client.domain.CloudEvent;
import io.dapr.client.domain.PublishEventRequest;
import io.dapr.exceptions.DaprException;
import io.dapr.utils.TypeRef;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** Publish and subscribe: programmatic, declarative, streaming, in bulk, raw, routed, retried and dead. */
final class PubsubProof {
  private static final String PUBSUB = "pubsub";

  private final Facts facts;
  private final DaprClient dapr;
  private final DaprPreviewClient preview;
  private final Inbox inbox;
  private final String appId;

  PubsubProof(Facts facts, DaprClient dapr, DaprPreviewClient preview, Inbox inbox, String appId) {
    this.facts = facts;
    this.dapr = dapr;
    this.preview = preview;
    this.inbox = inbox;
    this.appId = appId;
  }

  void prove() throws Exception {
    delivered();
    answers();
    payloads();
    streams();
    DaprException refused = Facts.error(() -> dapr.publishEvent("nobody", "topic", "data").block());
    facts.equal("pubsub: an unknown component is an error", refused.getErrorCode(), "INVALID_ARGUMENT");
  }

  private void publish(String topic, int order) {
    dapr.publishEvent(PUBSUB, topic, Map.of("order", order)).block();
  }

  private void delivered() throws Exception {
    publish("programmatic", 1);
    Inbox.Event event = inbox.get("programmatic", 1).get(0);
    facts.equal("pubsub: programmatic subscription", event.order(), 1);
    facts.equal("pubsub: the cloud event is filled in",
        List.of(event.source(), event.type(), event.topic(), event.pubsub(), event.contentType()),
        List.of(appId, "com.dapr.event.sent", "programmatic", PUBSUB, "application/json"));
    dapr.publishEvent(new PublishEventRequest(PUBSUB, "programmatic", "text".getBytes(StandardCharsets.UTF_8))
        .setContentType("text/plain")).block();
    facts.equal("pubsub: text stays text", inbox.get("programmatic", 2).get(1).data(), "text");
    publish("declared", 2);
    facts.equal("pubsub: declarative subscription", inbox.get("declared", 1).get(0).order(), 2);
    publish("routed", 6);
    dapr.publishEvent(PUBSUB, "routed", Map.of("order", 7), Map.of("cloudevent.type", "special")).block();
    facts.equal("pubsub: a rule chooses the route", inbox.get("special", 1).get(0).order(), 7);
    facts.equal("pubsub: no rule is the default route", inbox.get("otherwise", 1).get(0).order(), 6);
  }

  private void answers() throws Exception {
    publish("retried", 3);
    facts.equal("pubsub: an answer RETRY brings the event again", inbox.get("retried", 2).get(1).order(), 3);
    publish("dropped", 4);
    facts.equal("pubsub: a dropped event goes to the dead letter topic", inbox.get("dead", 1).get(0).order(), 4);
    publish("refused", 5);
    facts.equal("pubsub: an event refused to the end goes to the dead letter topic", inbox.get("dead", 2).get(1).order(), 5);
  }

  private void payloads() throws Exception {
    byte[] bytes = {0, 'r', 'a', 'w', -1};
    dapr.publishEvent(new PublishEventRequest(PUBSUB, "raw", bytes)
        .setContentType("application/octet-stream").setMetadata(Map.of("rawPayload", "true"))).block();
    facts.equal("pubsub: raw payload", inbox.get("raw", 1).get(0).data(), bytes);
    CloudEvent<String> own = new CloudEvent<>("mine", "sdk", "own", "1.0", "text/plain", "own text");
    dapr.publishEvent(new PublishEventRequest(PUBSUB, "programmatic", own).setContentType(CloudEvent.CONTENT_TYPE)).block();
    Inbox.Event event = inbox.get("programmatic", 3).get(2);
    facts.equal("pubsub: a cloud event stays as it is",
        List.of(event.source(), event.type(), event.data()), List.of("sdk", "own", "own text"));
    BulkPublishResponse<Object> response = preview.publishEvents(new BulkPublishRequest<Object>(PUBSUB, "bulk", List.of(
        new BulkPublishEntry<>("1", Map.of("order", 8), "application/json"),
        new BulkPublishEntry<>("2", Map.of("order", 9), "application/json")))).block();
    facts.holds("pubsub: bulk publish has no failed entry", response.getFailedEntries().isEmpty(), response);
    List<Object> orders = inbox.get("bulk", 2).stream().map(Inbox.Event::order).sorted().toList();
    facts.equal("pubsub: bulk publish delivers each entry", orders, List.of(8, 9));
  }

  private void streams() throws Exception {
    List<CloudEvent<Map<String, Integer>>> events = new CopyOnWriteArrayList<>();
    SubscriptionListener<Map<String, Integer>> listener = new SubscriptionListener<>() {
      @Override
      public Mono<Status> onEvent(CloudEvent<Map<String, Integer>> event) {
        events.add(event);
        return Mono.just(events.size() == 1 ? Status.RETRY : Status.SUCCESS);
      }

      @Override
      public void onError(RuntimeException error) {
        error.printStackTrace();
      }
    };
    TypeRef<Map<String, Integer>> type = new TypeRef<>() {};
    // The SDK doesn't tell when a stream has begun: published until an event comes.
    try (Subscription<?> stream = preview.subscribeToEvents(PUBSUB, "streamed", listener, type)) {
      Facts.waitFor("event of a stream", () -> arrived("streamed", events));
      facts.equal("pubsub: streaming subscription", events.get(0).getData(), Map.of("order", 10));
      String first = events.get(0).getId();
      Facts.waitFor("event again", () -> events.stream().filter(event -> event.getId().equals(first)).count() == 2);
      facts.holds("pubsub: a stream is given a retried event again", true, "");
    }
    List<Map<String, Integer>> flowing = new CopyOnWriteArrayList<>();
    Disposable flow = preview.subscribeToEvents(PUBSUB, "flowing", type).subscribe(flowing::add);
    Facts.waitFor("event of a flow", () -> arrived("flowing", flowing));
    flow.dispose();
    facts.equal("pubsub: streaming subscription as a Flux", flowing.get(0), Map.of("order", 10));
  }

  private boolean arrived(String topic, List<?> events) throws InterruptedException {
    publish(topic, 10);
    Thread.sleep(100);
    return !events.isEmpty();
  }
}
