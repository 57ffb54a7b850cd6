// How numbers, times and verdicts read.

/** A score: four significant figures. */
export const score = (value) =>
  value === null || value === undefined ? "–" : Number(value).toPrecision(4);

/** A share in [0, 1] as a percentage. */
export function share(value) {
  if (value === null || value === undefined) return "–";
  const percent = value * 100;
  return `${Number(percent.toFixed(percent >= 10 ? 0 : 1))} %`;
}

export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** Date and time, in the reader's own zone. */
export const when = (text) => (text ? DAY.format(new Date(text)) : "–");
export const clock = (text) => (text ? CLOCK.format(new Date(text)) : "–");

/** "judged 3 min ago" */
export function judged(text) {
  if (!text) return "not judged yet";
  return `judged ${ago(text)}`;
}

function ago(text) {
  const seconds = Math.max(0, (Date.now() - new Date(text)) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return count(Math.floor(seconds / 86400), "day") + " ago";
}

export const VERDICTS = { pass: "Pass", reject: "Reject", refused: "Refused" };
export const FEEDBACK = { right: "Right", "false-alarm": "False alarm", missed: "Missed defect" };
export const ROLES = {
  operator: "Operator: inspects and gives feedback",
  engineer: "Engineer: may do everything",
  auditor: "Auditor: reads everything, changes nothing",
};
export const CALIBRATIONS = {
  split: "good parts beside the support",
  "leave-one-out": "the support, each picture scored without itself",
  cross: "the support, in folds",
};

/** An area of a defect, in mm² where the scale is known. */
export function area(defect) {
  if (defect.area_mm2 === null || defect.area_mm2 === undefined) return `${defect.area_px} px`;
  return `${defect.area_mm2 >= 100 ? defect.area_mm2.toFixed(0) : defect.area_mm2.toPrecision(3)} mm²`;
}

export const bytes = (size) =>
  size < 1e6 ? `${Math.ceil(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`;
