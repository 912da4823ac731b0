/** What the browser code takes from the page beside the standard's types. */

/**
 * An element found by a selector. Which kind it is the template says, not the selector, so that it
 * has what the kinds have that Mien uses; a misspelt property is still an error.
 */
interface FoundElement extends HTMLElement {
  checked: boolean;
  content: any;
  disabled: boolean;
  elements: any;
  files: FileList;
  href: string;
  max: any;
  open: boolean;
  paused: boolean;
  value: any;
  videoHeight: number;
  videoWidth: number;
  play(): Promise<void>;
  returnValue: string;
  showModal(): void;
  addEventListener(
    type: string,
    listener: (event: any) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

interface ParentNode {
  querySelector(selectors: string): FoundElement | null;
  querySelectorAll(selectors: string): NodeListOf<FoundElement>;
}

interface Element {
  closest(selectors: string): FoundElement | null;
}

interface Window {
  /** For tests and the console. */
  mien: any;
}

/** static/vendor/echarts.min.js, loaded by the report's page. */
declare const echarts: any;
