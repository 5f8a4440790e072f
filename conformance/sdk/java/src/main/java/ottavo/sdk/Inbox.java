package ottavo.sdk;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The events that the application was given, by the name of their handler. */
final class Inbox {
  private final Map<String, List<Event>> events = new HashMap<>();

  /** An event, over HTTP or gRPC. {@code data} is its JSON as Java's types, its text, or its bytes. */
  record Event(String source, String type, String topic, String pubsub, String contentType, Object data) {
    /** The number of the order that an event is about, null without one. */
    Object order() {
      return data instanceof Map<?, ?> fields ? fields.get("order") : null;
    }
  }

  /** Keeps an event and says how many came under this name, with it. */
  synchronized int put(String name, Event event) {
    List<Event> kept = events.computeIfAbsent(name, ignored -> new ArrayList<>());
    kept.add(event);
    return kept.size();
  }

  /** The first {@code count} events under a name, once that many have come. */
  List<Event> get(String name, int count) throws Exception {
    Facts.waitFor(count + " events of " + name, () -> now(name).size() >= count);
    return now(name).subList(0, count);
  }

  private synchronized List<Event> now(String name) {
    return List.copyOf(events.getOrDefault(name, List.of()));
  }
}
