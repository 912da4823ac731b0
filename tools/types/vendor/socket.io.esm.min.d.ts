/** What Mien uses of socket.io-client 4. */
export function io(address: string, options?: Record<string, unknown>): any;
