// Moves the set-up token from behind the # into the form and out of the address bar.

const field = document.querySelector("[data-token]");
const form = document.querySelector("[data-setup]");
const missing = document.querySelector("[data-missing]");

if (location.hash.length > 1) {
  field.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
}
form.hidden = field.value === "";
missing.hidden = field.value !== "";
