import type { NextConfig } from "next";

const basePath = process.env.BASE_PATH ?? "";

const headers = [
  { key: "X-Content-Type-Options", value: "nosniff" },
  { key: "Referrer-Policy", value: "same-origin" },
  { key: "Permissions-Policy", value: "camera=(), microphone=(), geolocation=()" },
  { key: "Cross-Origin-Opener-Policy", value: "same-origin" },
  { key: "Cross-Origin-Resource-Policy", value: "same-origin" },
  { key: "Strict-Transport-Security", value: "max-age=63072000" },
];

const config: NextConfig = {
  basePath,
  // For the one address that Next doesn't complete by itself: that of a fetch.
  env: { BASE_PATH: basePath },
  poweredByHeader: false,
  headers: async () => [{ source: "/:path*", headers }],
};

export default config;
