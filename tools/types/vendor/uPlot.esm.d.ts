/** What Mien uses of uPlot 1.6. */
export default class uPlot {
  constructor(options: object, data: unknown[], target: HTMLElement);
  [name: string]: any;
  static [name: string]: any;
}
