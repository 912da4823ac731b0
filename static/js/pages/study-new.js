// The form for a new study; the films come on the next page.

import { newForm } from "../lib/new-form.js";

newForm({
  url: "/api/v1/studies",
  entered: (value) => Object.fromEntries(["name", "purpose", "purpose_text", "contact"].map((name) => [name, value(name)])),
  page: ({ id }) => `/studies/${id}/edit`,
});
