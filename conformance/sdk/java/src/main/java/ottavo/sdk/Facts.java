package ottavo.sdk;

import io.dapr.exceptions.DaprException;
import java.util.Objects;
import java.util.concurrent.Callable;

/** Counts and prints what the program has proven; the first fact that does not hold ends it. */
final class Facts {
  private int proven;

  /** What was expected and what was seen instead. */
  static final class NotAFact extends RuntimeException {
    private static final long serialVersionUID = 1L;

    NotAFact(String message) {
      super(message);
    }
  }

  /** The fact is proven when the condition is true; {@code seen} is shown when it is not. */
  void holds(String fact, boolean condition, Object seen) {
    if (!condition) {
      throw new NotAFact(fact + ": " + seen);
    }
    proven++;
    System.out.println("ok " + fact);
  }

  /** The fact is proven when both values are equal. */
  void equal(String fact, Object seen, Object expected) {
    holds(fact, Objects.deepEquals(seen, expected), "expected " + expected + ", got " + seen);
  }

  /** The error that {@code call} ends with. */
  static DaprException error(Callable<?> call) throws Exception {
    Object answer;
    try {
      answer = call.call();
    } catch (DaprException error) {
      return error;
    }
    throw new NotAFact("expected an error, got the answer " + answer);
  }

  /** Waits until the condition is true, twenty seconds at most. */
  static void waitFor(String what, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + 20_000_000_000L;
    while (!condition.call()) {
      if (System.nanoTime() > end) {
        throw new NotAFact("no " + what + " within 20 seconds");
      }
      Thread.sleep(20);
    }
  }

  int total() {
    return proven;
  }
}
