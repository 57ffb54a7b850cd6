// The stream of new decisions and product changes. The browser connects anew by itself and tells
// the server the last event that it has seen.
import { link } from "./api.js";

/** `hear({decision, product, state})`: functions; the stream closes when `signal` ends. */
export function listen({ decision = () => {}, product = () => {}, state = () => {} }, signal) {
  const source = new EventSource(link.events());
  const told = (hear) => (event) => {
    try {
      hear(JSON.parse(event.data));
    } catch (error) {
      console.warn("an event that cannot be read", error);
    }
  };
  source.addEventListener("decision", told(decision));
  source.addEventListener("product", told(product));
  source.onopen = () => state("live");
  source.onerror = () => state(source.readyState === EventSource.CLOSED ? "closed" : "waiting");
  signal.addEventListener("abort", () => source.close());
}
