// Texts in the language of the page. English texts are the keys; those of another language come with
// a script before the modules (webapp/web/language_choice.py), so that nothing here has to wait.
// `t` and `tn` take literal texts only: tools/texts.py collects them for the catalogue.

const words = globalThis.mienWords ?? {
  language: "en",
  /** @param {number} n */
  plural: (n) => Number(n !== 1),
  /** @type {Record<string, string | string[]>} */
  texts: {},
};

/** The page's language, as in `<html lang>`. */
export const language = words.language;

/** @param {string} text @param {Record<string, unknown>} [values] */
function filled(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/**
 * A text, with `{name}` replaced by the value of that name.
 * @param {string} text @param {Record<string, unknown>} [values]
 */
export function t(text, values) {
  return filled(String(words.texts[text] || text), values);
}

/**
 * The form of a text for `count` things; `{count}` stands for the number.
 * @param {string} one @param {string} many @param {number} count
 * @param {Record<string, unknown>} [values]
 */
export function tn(one, many, count, values = {}) {
  const forms = words.texts[one];
  const own = Array.isArray(forms) && forms[words.plural(count)];
  return filled(own || (count === 1 ? one : many), { count: number(count), ...values });
}

/** Marks a text for the catalogue where it is translated only when it is shown, by `t`. */
export const mark = (/** @type {string} */ text) => text;

/** What stands before the tenths: "." or ",". */
export const decimalMark = (0.5).toLocaleString(language).slice(1, 2);

/** A number as the language writes it, with exactly `digits` behind the separator. */
export function number(value, digits = 0) {
  return Number(value).toLocaleString(language, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    useGrouping: "min2", // four digits are read without help
  });
}
