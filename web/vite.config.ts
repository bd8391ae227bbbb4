import { defineConfig } from "vite";

export default defineConfig({
  build: {
    outDir: "../src/starrec/server/page",
    emptyOutDir: true,
    target: "es2022",
    // The content-security policy allows files of this server only: nothing inline, not even as a data: address.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // `npm run dev` beside `starrec serve --no-auth`.
  server: {
    proxy: Object.fromEntries(
      ["/v1", "/readyz", "/report"].map((path) => [path, { target: "http://127.0.0.1:8000", changeOrigin: true }]),
    ),
  },
});
