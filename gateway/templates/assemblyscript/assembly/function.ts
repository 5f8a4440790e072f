import { Request, Response, getState, setState } from "./ottavo";

/** Answers a request. Messages of a topic and ticks of a schedule are requests, too: POST to the path of their trigger. */
export function handle(request: Request): Response {
  const saved = getState("statestore", "count");
  const count = (saved == "" ? 0 : I32.parseInt(saved)) + 1;
  setState("statestore", "count", count.toString());
  return Response.text(200, `${request.method} ${request.path}: call ${count}\n`);
}
