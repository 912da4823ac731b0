// The page of a participant: wires only.

import { startStudy } from "../study/app.js";

/** @type {any} */ (window).mien = startStudy();
