#!/bin/sh
# Calls the functions, beside which this runs.
set -eu
echo "notes answers: $(curl -sf -d 'buy milk' "localhost:$OTTAVO_FUNCTIONS_PORT/notes")"
echo "the state store has: $(curl -sf "localhost:$DAPR_HTTP_PORT/v1.0/state/statestore/note")"
for attempt in $(seq 100); do
  event=$(curl -s "localhost:$DAPR_HTTP_PORT/v1.0/state/statestore/event")
  [ -z "$event" ] || break
  sleep 0.1
done
echo "audit has heard: $event"
