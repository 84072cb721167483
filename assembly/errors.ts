// Codes that kernels return; bindings/core*.ts turn them into CodecError. 0 is success.
export const ERROR_TRUNCATED: i32 = 1;
export const ERROR_CORRUPTED: i32 = 2;
export const ERROR_INVALID: i32 = 3;
export const ERROR_VERSION: i32 = 4;
export const ERROR_NON_FINITE: i32 = 5;
export const ERROR_OUT_OF_RANGE: i32 = 6;
