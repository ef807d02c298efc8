//! Learning in bf16 beside fp32.
