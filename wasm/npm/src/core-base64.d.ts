/** The WebAssembly module. The build writes the script that belongs to this. */
export declare const base64: string;
