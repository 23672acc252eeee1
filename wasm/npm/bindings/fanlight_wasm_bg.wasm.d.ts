/* tslint:disable */
/* eslint-disable */
export const memory: WebAssembly.Memory;
export const __wbg_core_free: (a: number, b: number) => void;
export const core_apply: (a: number, b: bigint, c: number, d: number) => [number, number, number, number];
export const core_check: (a: number) => [number, number];
export const core_closed: (a: number, b: bigint, c: bigint) => [number, number, number];
export const core_deadline: (a: number) => [number, number, number];
export const core_load: (a: any, b: number, c: number) => [number, number, number];
export const core_new: (a: any) => [number, number, number];
export const core_now: (a: number) => bigint;
export const core_open: (a: number, b: bigint, c: bigint, d: number, e: number) => [number, number, number];
export const core_overview: (a: number) => [number, number, number];
export const core_request: (a: number, b: bigint, c: bigint, d: number, e: any) => [number, number, number];
export const core_snapshot: (a: number) => [number, number];
export const core_tick: (a: number, b: bigint) => [number, number, number];
export const __wbindgen_malloc: (a: number, b: number) => number;
export const __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
export const __wbindgen_free: (a: number, b: number, c: number) => void;
export const __wbindgen_exn_store: (a: number) => void;
export const __externref_table_alloc: () => number;
export const __wbindgen_externrefs: WebAssembly.Table;
export const __externref_table_dealloc: (a: number) => void;
export const __wbindgen_start: () => void;
