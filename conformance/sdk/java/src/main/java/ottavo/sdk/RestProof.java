package ottavo.sdk;

import io.dapr.client.DaprClient;
import io.dapr.client.domain.DaprMetadata;
import io.dapr.exceptions.DaprException;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Secrets, metadata and the end. The SDK has no call that sets metadata. */
final class RestProof {
  private RestProof() {}

  static void metadata(Facts facts, DaprClient dapr, String appId) {
    DaprMetadata metadata = dapr.getMetadata().block();
    facts.equal("metadata: names the application", metadata.getId(), appId);
    Map<String, String> components = metadata.getComponents().stream()
        .collect(Collectors.toMap(component -> component.getName(), component -> component.getType()));
    facts.equal("metadata: lists the components", components,
        Map.of("statestore", "state.in-memory", "pubsub", "pubsub.in-memory", "secretstore", "secretstores.local.file"));
    List<String> topics = metadata.getSubscriptions().stream().map(subscription -> subscription.getTopic()).toList();
    facts.holds("metadata: lists the subscriptions", topics.containsAll(List.of("programmatic", "declared")), topics);
    facts.equal("metadata: knows the application's port",
        String.valueOf(metadata.getAppConnectionProperties().getPort()), System.getenv("APP_PORT"));
  }

  static void secrets(Facts facts, DaprClient dapr) throws Exception {
    facts.equal("secrets: get", dapr.getSecret("secretstore", "greeting").block(), Map.of("greeting", "good evening"));
    facts.equal("secrets: a nested value has a path",
        dapr.getSecret("secretstore", "database:user").block(), Map.of("database:user", "ottavo"));
    facts.equal("secrets: bulk get", dapr.getBulkSecret("secretstore").block(), Map.of(
        "greeting", Map.of("greeting", "good evening"),
        "database:user", Map.of("database:user", "ottavo"),
        "database:password", Map.of("database:password", "not a real one")));
    DaprException missing = Facts.error(() -> dapr.getSecret("secretstore", "nothing").block());
    facts.equal("secrets: a missing secret is an error", missing.getErrorCode(), "INTERNAL");
  }

  static void shutdown(Facts facts, DaprClient dapr) {
    dapr.shutdown().block();
    facts.holds("shutdown: is accepted", true, "");
  }
}
