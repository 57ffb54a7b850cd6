// Every request that the page makes. The session is an HttpOnly cookie; what changes something
// carries the CSRF token that the server gave with the session.

const ROOT = "/api/v1/";
let csrf = "";

export class ApiError extends Error {
  constructor(message, status, requestId) {
    super(message);
    this.status = status;
    this.requestId = requestId;
  }
}

/** `path` is given in parts, each of which is escaped. */
function address(parts, query = {}) {
  const url = ROOT + parts.map(encodeURIComponent).join("/");
  const given = Object.entries(query).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  return given.length ? `${url}?${new URLSearchParams(given)}` : url;
}

async function call(method, parts, { query, json, form, body, headers = {}, signal } = {}) {
  const sent = { ...headers };
  if (method !== "GET" && csrf) sent["X-CSRF-Token"] = csrf;
  if (json !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(address(parts, query), {
      method,
      signal,
      headers: sent,
      credentials: "same-origin",
      body: json !== undefined ? JSON.stringify(json) : (form ?? body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(
      "The server cannot be reached. Is it running, and is the network up?",
      0,
      "",
    );
  }
  if (answer.ok) return read(answer);
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 401 && parts[0] !== "session")
    window.dispatchEvent(new Event("signed-out"));
  throw new ApiError(
    told.error ?? `The server answered ${answer.status}.`,
    answer.status,
    told.request_id ?? "",
  );
}

const read = (answer) => (answer.status === 204 ? null : answer.json());

async function session(method, json) {
  const told = await call(method, ["session"], { json });
  csrf = told?.csrf ?? "";
  return told;
}

/** A form of texts, and of files under one name each. */
export function makeForm(texts, files = {}) {
  const form = new FormData();
  for (const [name, value] of Object.entries(texts)) {
    if (value !== null && value !== undefined && value !== "") form.append(name, value);
  }
  for (const [name, list] of Object.entries(files))
    for (const file of list) form.append(name, file, file.name);
  return form;
}

/** Judge a picture. If that takes long the server answers with a job, which is asked for again. */
async function inspect(name, file, signal) {
  let told = await call("POST", product(name, "inspect"), {
    query: { wait: true, source: file.name.slice(-200) },
    body: file,
    signal,
    headers: { "Content-Type": file.type || "application/octet-stream" },
  });
  while (!told.verdict) {
    await new Promise((wake) => setTimeout(wake, 1000));
    const job = await get(["jobs", told.id], {}, signal);
    told = job.decision ?? told;
  }
  return told;
}

const get = (parts, query, signal) => call("GET", parts, { query, signal });
const product = (name, ...rest) => ["products", name, ...rest];
const decision = (id, ...rest) => ["decisions", id, ...rest];

export const api = {
  whoAmI: () => session("GET"),
  signIn: (key) => session("POST", { key }),
  signOut: () => session("DELETE"),

  methods: (signal) => get(["methods"], {}, signal),
  products: (signal) => get(["products"], {}, signal),
  product: (name, signal) => get(product(name), {}, signal),
  createProduct: (form) => call("POST", ["products"], { form }),
  deleteProduct: (name) => call("DELETE", product(name)),
  undoProduct: (name) => call("POST", product(name, "undo")),
  changeWords: (name, json) => call("POST", product(name, "words"), { json }),
  changeRegions: (name, drawn) =>
    call("POST", product(name, "regions"), {
      form: makeForm({ regions: drawn ? JSON.stringify(drawn) : "" }),
    }),
  importProduct: (form) => call("POST", ["products", "import"], { form }),
  audit: (name, signal) => get(product(name, "audit"), {}, signal),

  calibration: (name, signal) => get(product(name, "calibration"), {}, signal),
  calibrate: (name, form) => call("POST", product(name, "calibrate"), { form }),
  recalibrate: (name, json) => call("POST", product(name, "recalibrate"), { json }),
  setThreshold: (name, json) => call("POST", product(name, "threshold"), { json }),
  drift: (name, signal) => get(product(name, "drift"), {}, signal),

  inspect,

  decisions: (query, signal) => get(["decisions"], query, signal),
  decision: (id, signal) => get(decision(id), {}, signal),
  giveFeedback: (id, json) => call("POST", decision(id, "feedback"), { json }),
  undoFeedback: (id) => call("DELETE", decision(id, "feedback")),

  log: (query, signal) => get(["log"], query, signal),
  verifyLog: () => get(["log", "verify"]),

  play: (task, form) => call("POST", ["playground", task], { form }),
};

/** Addresses for pictures, downloads and the stream of events. */
export const link = {
  events: () => address(["events"]),
  support: (name, place, width) => address(product(name, "support", String(place)), { width }),
  regions: (name, version) => address(product(name, "regions.png"), { version }),
  export: (name) => address(product(name, "export")),
  report: (name, form) => address(product(name, `report.${form}`)),
  picture: (id, width) => address(decision(id, "picture"), { width }),
  map: (id) => address(decision(id, "map.png")),
  mask: (id) => address(decision(id, "mask.png")),
  word: (id, word) => address(decision(id, "word", `${word}.png`)),
};
