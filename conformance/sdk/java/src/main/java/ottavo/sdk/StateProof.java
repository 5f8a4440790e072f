package ottavo.sdk;

import io.dapr.client.DaprClient;
import io.dapr.client.domain.State;
import io.dapr.client.domain.StateOptions;
import io.dapr.client.domain.TransactionalStateOperation;
import io.dapr.client.domain.TransactionalStateOperation.OperationType;
import io.dapr.exceptions.DaprErrorDetails.ErrorDetailType;
import io.dapr.exceptions.DaprException;
import io.dapr.utils.TypeRef;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** State: get, save, delete, bulk, transactions, entity tags and time to live. */
final class StateProof {
  private static final String STORE = "statestore";

  private final Facts facts;
  private final DaprClient dapr;

  StateProof(Facts facts, DaprClient dapr) {
    this.facts = facts;
    this.dapr = dapr;
  }

  void prove() throws Exception {
    values();
    entityTags();
    firstWrite();
    many();
    timeToLive();
  }

  private State<String> get(String key) {
    return dapr.getState(STORE, key, String.class).block();
  }

  private void values() throws Exception {
    Map<String, Object> order = Map.of("id", 7, "lines", Arrays.asList("é", null, 1.5));
    dapr.saveState(STORE, "json", order).block();
    State<Map<String, Object>> read = dapr.getState(STORE, "json", new TypeRef<Map<String, Object>>() {}).block();
    facts.equal("state: json comes back", read.getValue(), order);
    facts.holds("state: get has an etag", read.getEtag() != null && !read.getEtag().isEmpty(), read);
    // The SDK says of every value that it is JSON.
    byte[] bytes = "[1, 2]".getBytes(StandardCharsets.UTF_8);
    dapr.saveState(STORE, "bytes", bytes).block();
    byte[] stored = dapr.getState(STORE, "bytes", byte[].class).block().getValue();
    facts.equal("state: bytes of JSON come back, compact", new String(stored, StandardCharsets.UTF_8), "[1,2]");
    DaprException invalid = Facts.error(() -> dapr.saveState(STORE, "bytes", new byte[] {0, -1}).block());
    facts.equal("state: bytes that are no JSON are an error", invalid.getErrorCode(), "UNKNOWN");
    facts.equal("state: a missing key is empty", get("never saved").getValue(), null);
    DaprException refused = Facts.error(() -> dapr.getState("nostore", "key", String.class).block());
    facts.equal("state: an unknown store is an error", refused.getErrorCode(), "INVALID_ARGUMENT");
    String reason = refused.getErrorDetails().get(ErrorDetailType.ERROR_INFO, "reason", TypeRef.STRING);
    facts.equal("state: an error carries its reason", reason, "DAPR_STATE_NOT_FOUND");
  }

  private void entityTags() throws Exception {
    dapr.saveState(STORE, "tagged", "one").block();
    String stale = get("tagged").getEtag();
    dapr.saveState(STORE, "tagged", stale, "two", null).block();
    facts.equal("state: right etag saves", get("tagged").getValue(), "two");
    DaprException conflict = Facts.error(() -> dapr.saveState(STORE, "tagged", stale, "three", null).block());
    facts.equal("state: stale etag conflicts", conflict.getErrorCode(), "ABORTED");
    conflict = Facts.error(() -> dapr.deleteState(STORE, "tagged", stale, null).block());
    facts.equal("state: delete with a stale etag conflicts", conflict.getErrorCode(), "ABORTED");
    facts.equal("state: a conflict leaves the value", get("tagged").getValue(), "two");
    dapr.deleteState(STORE, "tagged", get("tagged").getEtag(), null).block();
    facts.equal("state: right etag deletes", get("tagged").getValue(), null);
  }

  private void firstWrite() throws Exception {
    StateOptions first = new StateOptions(StateOptions.Consistency.STRONG, StateOptions.Concurrency.FIRST_WRITE);
    dapr.saveState(STORE, "first", null, "one", first).block();
    DaprException conflict = Facts.error(() -> dapr.saveState(STORE, "first", null, "two", first).block());
    facts.equal("state: first write wins", conflict.getErrorCode(), "ABORTED");
  }

  private void many() throws Exception {
    dapr.saveBulkState(STORE, List.of(state("bulk-1", "one", null), state("bulk-2", "two", null))).block();
    facts.equal("state: bulk save and bulk get", getAll("bulk-1", "bulk-2", "bulk-3"), Arrays.asList("one", "two", null));
    dapr.executeStateTransaction(STORE, List.of(
        new TransactionalStateOperation<>(OperationType.UPSERT, state("bulk-3", "three", null)),
        new TransactionalStateOperation<>(OperationType.DELETE, new State<String>("bulk-1")))).block();
    facts.equal("state: transaction upserts and deletes", getAll("bulk-1", "bulk-3"), Arrays.asList(null, "three"));
    Facts.error(() -> dapr.executeStateTransaction(STORE, List.of(
        new TransactionalStateOperation<>(OperationType.UPSERT, state("bulk-2", "changed", null)),
        new TransactionalStateOperation<>(OperationType.UPSERT, state("bulk-3", "changed", "stale")))).block());
    facts.equal("state: a failed transaction changes nothing", getAll("bulk-2", "bulk-3"), List.of("two", "three"));
  }

  private static State<String> state(String key, String value, String etag) {
    return new State<>(key, value, etag);
  }

  /** The values of keys, in their order; null without one. */
  private List<String> getAll(String... keys) {
    List<State<String>> states = dapr.getBulkState(STORE, List.of(keys), String.class).block();
    return Arrays.stream(keys)
        .map(key -> states.stream().filter(state -> state.getKey().equals(key)).findFirst().map(State::getValue).orElse(null))
        .toList();
  }

  private void timeToLive() throws Exception {
    Map<String, String> metadata = Map.of("ttlInSeconds", "1");
    dapr.saveBulkState(STORE, List.of(new State<>("short", "lived", null, metadata, null))).block();
    facts.equal("state: a value with a ttl is there", get("short").getValue(), "lived");
    Facts.waitFor("end of a value", () -> get("short").getValue() == null);
    facts.holds("state: a ttl ends a value", true, "");
  }
}
