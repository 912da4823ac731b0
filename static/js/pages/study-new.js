// The form for a new study; the films come on the next page.

import { language } from "../lib/i18n.js";
import { newForm } from "../lib/new-form.js";

newForm({
  url: "/api/v1/studies",
  entered: (value) => ({
    ...Object.fromEntries(["name", "purpose", "purpose_text", "contact"].map((name) => [name, value(name)])),
    notice_language: language, // who sets it up most likely writes in it
  }),
  page: ({ id }) => `/studies/${id}/edit`,
});
