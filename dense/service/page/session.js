// Who is signed in, and what the role may do. The server decides; this only spares refusals.
import { api } from "./api.js";

const MAY = {
  work: ["operator", "engineer"],
  change: ["engineer"],
  audit: ["engineer", "auditor"],
};

let current = null;

export const session = () => current;
export const can = (action) => MAY[action].includes(current?.role);

/** The session of an earlier visit, or null. */
export async function resume() {
  try {
    current = await api.whoAmI();
  } catch (error) {
    if (error.status !== 401) throw error;
    current = null;
  }
  return current;
}

export async function signIn(key) {
  current = await api.signIn(key);
  return current;
}

export async function signOut() {
  await api.signOut().catch(() => null);
  current = null;
}

export const forget = () => {
  current = null;
};
