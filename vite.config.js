// Builds frontend/ into static/dist/: hashed files, a manifest for the template tag, and compressed twins for the static server.
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import tailwind from "@tailwindcss/vite";
import { defineConfig } from "vite";

const compressed = {
  name: "compressed-twins",
  writeBundle(options) {
    const folder = join(options.dir, "assets");
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (!/\.(js|css|svg)$/.test(name) || statSync(path).size < 1024) continue;
      const bytes = readFileSync(path);
      writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
      writeFileSync(`${path}.br`, brotliCompressSync(bytes));
    }
  },
};

// Each script in frontend/pages/ belongs to one page: {% bundle "pages/<name>" %} loads it there alone.
const pages = Object.fromEntries(
  (existsSync("frontend/pages") ? readdirSync("frontend/pages") : [])
    .filter((name) => name.endsWith(".js"))
    .map((name) => [`pages/${name.slice(0, -3)}`, `frontend/pages/${name}`]),
);

export default defineConfig({
  base: "/static/dist/",
  plugins: [tailwind(), compressed],
  build: {
    manifest: "manifest.json",
    outDir: "static/dist",
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: { input: { main: "frontend/main.js", upload: "frontend/upload.js", ...pages } },
  },
});
