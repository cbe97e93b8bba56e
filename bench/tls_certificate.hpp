// A certificate for "localhost" (P-256), made for the benchmarks and of no other use.
#pragma once

#include <string_view>

namespace bench {

inline constexpr std::string_view certificate = R"(-----BEGIN CERTIFICATE-----
MIIBaDCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLWvmIBsVCYpvSkD
cYYudBaLcZrix6e7w07YKRlOXid5rcVtDgRvMGGmdzw6t1YP7a03jm9LQVDBotG/
dq7EzqGjTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBRT930NMYpO9fHFz1KLUrFL3S5QrTAKBggqhkjOPQQD
AgNJADBGAiEAofGfCO5RPNhARlybZDm70ITPuFSUBRcWLCyogInq9ywCIQCSytcn
Vdoy9dSjXsJBecHqGjfKyr87m74HIO0LL+L7nw==
-----END CERTIFICATE-----
)";
inline constexpr std::string_view key = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMy928vk5QGCEDYYB
tsRX7Zlyt7I8NHcpa9i+2kch5QehRANCAAS1r5iAbFQmKb0pA3GGLnQWi3Ga4sen
u8NO2CkZTl4nea3FbQ4EbzBhpnc8OrdWD+2tN45vS0FQwaLRv3auxM6h
-----END PRIVATE KEY-----
)";

}  // namespace bench
