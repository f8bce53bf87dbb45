"use strict";
(() => {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

  // Clips are decoded when they come near the screen and stop when they leave it.
  const play = (video) => {
    if (!video.src) { // a clip that is on the page twice is in it once
      video.src = video.dataset.src || document.getElementById(video.dataset.same).dataset.src;
      video.currentTime = Number(video.dataset.start); // where what it shows is visible
    }
    video.play().catch(() => {});
  };
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) target.pause();
      else if (!calm) play(target);
    }
  }, { rootMargin: "160px" });
  document.querySelectorAll("video").forEach((video) => watcher.observe(video));

  // A clip shows its concept; under the pointer, or once pressed, the clip as it is.
  document.querySelectorAll("button.clip").forEach((button) => {
    const video = button.querySelector("video");
    const stacked = !button.classList.contains("single");
    const show = (raw) => stacked && button.classList.toggle("raw", raw);
    let pressed = false;
    button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show(true));
    button.addEventListener("pointerleave", () => show(pressed));
    button.addEventListener("click", () => {
      play(video);
      if (!stacked) return;
      pressed = !pressed;
      button.setAttribute("aria-pressed", String(pressed));
      show(pressed);
    });
  });

  // A link to something inside closed details opens them.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let around = target.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  document.querySelectorAll("[data-copy]").forEach((button) => {
    button.addEventListener("click", async () => {
      const text = button.parentElement.querySelector("pre");
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(text); // without leave to copy, selected is next best
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1600);
    });
  });

  // Okabe and Ito's colours, which colour-blind readers describe apart.
  const COLOURS = [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];

  const make = (tag, fields = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(fields)) {
      if (name in node) node[name] = value; else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  };
  const signed = (value) => value === null ? "–" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

  // Pairs (value, length) of little-endian uint16, as `run_lengths` writes them; 65535 is “dropped”.
  const unpack = (text, size) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const pairs = new DataView(bytes.buffer), values = new Uint16Array(size);
    for (let i = 0, at = 0; i < bytes.length; i += 4) {
      const length = pairs.getUint16(i + 2, true);
      values.fill(pairs.getUint16(i, true), at, at + length);
      at += length;
    }
    return values;
  };

  const pixels = (source, width, height) => new Promise((done, fail) => {
    const image = new Image();
    image.onload = () => {
      const canvas = make("canvas", { width, height });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      done(context.getImageData(0, 0, width, height).data);
    };
    image.onerror = () => fail(new Error("a picture of the clip explorer cannot be decoded"));
    image.src = source;
  });

  const load = async (clip) => {
    const [frames, height, width] = clip.size, size = frames * height * width;
    clip.pixels = await pixels(clip.frames, width, frames * height);
    clip.blank = typeof clip.base === "string" ? await pixels(clip.base, width, frames * height) : null;
    clip.ids = clip.levels.map((level) => unpack(level.runs, size));
    clip.present = new Set(clip.levels.flatMap((level) => level.concept));
  };

  // Decodes when the part comes near the screen, and ticks only while it can be seen.
  const whileVisible = (root, start, fps, beat) => {
    let last = 0, seen = false, started = false;
    const tick = (now) => {
      if (!seen) return;
      if (now - last > 1000 / fps()) { last = now; beat(); }
      requestAnimationFrame(tick);
    };
    new IntersectionObserver(async ([entry]) => {
      const before = seen;
      seen = entry.isIntersecting;
      if (!seen || before) return;
      if (!started) { started = true; await start(); }
      requestAnimationFrame(tick);
    }, { rootMargin: "200px" }).observe(root);
  };

  const explore = (root) => {
    const data = JSON.parse(root.querySelector("script").textContent);
    const concepts = new Map(data.concepts.map((c) => [c.concept, c]));
    const title = (k) => concepts.get(k)?.name || `concept ${k}`;
    const colour = new Map(data.concepts.slice(0, COLOURS.length).map((c, i) => [c.concept, COLOURS[i]]));
    const state = { clip: null, frame: 0, playing: !calm, off: new Set(), over: null, row: null, level: 0, tint: true };

    const canvas = make("canvas", { tabIndex: -1 });
    canvas.setAttribute("aria-label", "The test clip; point at a supervoxel to see its concept");
    canvas.setAttribute("role", "img");
    const context = canvas.getContext("2d");
    const description = make("p", { className: "description soft" });
    description.setAttribute("aria-live", "polite");
    const playing = make("button", { type: "button" });
    const back = make("button", { type: "button", textContent: "‹", "aria-label": "One frame back" });
    const ahead = make("button", { type: "button", textContent: "›", "aria-label": "One frame on" });
    const slider = make("input", { type: "range", min: 0, value: 0, "aria-label": "Frame" });
    const clock = make("span", { className: "clock" });
    const choice = make("select", { "aria-label": "Test clip" },
      ...data.clips.map((clip, i) => make("option", { value: String(i), textContent: clip.name })));
    const level = make("select", { "aria-label": "Size of supervoxels" });
    const tint = make("input", { type: "checkbox", checked: true });
    const all = make("button", { type: "button", textContent: "All on" });
    const likely = make("div", { className: "likely" });
    likely.setAttribute("aria-live", "polite");
    const list = make("ol", { className: "switches" });

    const draw = () => {
      const { clip, frame, over, row, off } = state, [, height, width] = clip.size, area = height * width;
      const out = context.createImageData(width, height), start = frame * area;
      const ids = clip.ids, owners = clip.levels.map((l) => l.concept), own = ids[state.level], owner = owners[state.level];
      for (let p = 0; p < area; p++) {
        const at = start + p, to = 4 * p;
        let gone = false, lit = row === null && over === null;
        for (let l = 0; l < ids.length; l++) {
          const concept = owners[l][ids[l][at]];
          if (off.has(concept)) gone = true;
          if (row !== null && concept === row) lit = true;
        }
        if (over !== null && own[at] === over) lit = true;
        const shade = state.tint && !gone ? colour.get(owner[own[at]]) : undefined;
        for (let c = 0; c < 3; c++) {
          let value = gone ? (clip.blank ? clip.blank[4 * at + c] : clip.base[c]) : clip.pixels[4 * at + c];
          if (shade) value = 0.62 * value + 0.38 * shade[c];
          out.data[to + c] = lit ? value : 0.32 * value;
        }
        out.data[to + 3] = 255;
      }
      context.putImageData(out, 0, 0);
      slider.value = frame;
      clock.textContent = `${clip.seconds[frame].toFixed(2)} s`;
      slider.setAttribute("aria-valuetext", clock.textContent);
    };

    const position = () => state.clip.switches.reduce((bits, k, i) => bits | (state.off.has(k) ? 1 << i : 0), 0);
    const showOutput = () => {
      const { clip } = state, at = position(), now = clip.likely[at], said = clip.amounts[at];
      likely.replaceChildren(...clip.classes.flatMap((name, i) => {
        const inner = make("i"), bar = make("span", { className: i === 0 ? "bar sure" : "bar" }, inner);
        inner.style.width = `${100 * now[i]}%`;
        const label = make("bdi", { className: i === 0 ? "own" : "", textContent: name });
        return [label, bar, make("span", { className: "now", textContent: said[i], title: `${clip.amounts[0][i]} with nothing hidden` })];
      }));
      all.disabled = state.off.size === 0;
    };

    const describe = () => {
      const { clip, over } = state;
      if (over === null || over === 65535) {
        description.textContent = over === null ? "Point at the clip, or at a concept in the list." : "Not part of any supervoxel at this size.";
        return;
      }
      const k = clip.levels[state.level].concept[over], known = concepts.get(k);
      const score = known ? `rank ${known.rank}, score ${known.score}` : "not a ranked concept";
      description.textContent = `Supervoxel ${over}: ${title(k)} (${score}). Hiding this concept here changes the ${data.changed} by ${signed(clip.drop[k] === null ? null : -clip.drop[k])}.`;
    };

    const flip = (k, on) => {
      if (on) state.off.delete(k); else state.off.add(k);
      const box = list.querySelector(`input[value="${k}"]`);
      if (box) box.checked = on;
      showOutput();
      draw();
    };

    const fill = () => {
      const { clip } = state;
      list.replaceChildren(...data.concepts.filter((c) => clip.present.has(c.concept)).map((c) => {
        const k = c.concept, can = clip.switches.includes(k), swatch = make("span", { className: "swatch" });
        if (colour.has(k)) swatch.style.background = `rgb(${colour.get(k).join(" ")})`;
        const id = `${root.id}-s${k}`;
        const box = can ? make("input", { type: "checkbox", checked: true, value: String(k), id }) : make("span");
        if (can) box.addEventListener("change", () => flip(k, box.checked));
        const label = make(can ? "label" : "span", { textContent: `${c.rank} · ${title(k)}` });
        if (can) label.htmlFor = id;
        const cost = make("span", { className: "cost", textContent: signed(clip.drop[k] === null ? null : -clip.drop[k]), title: `${data.changed} when this concept alone is hidden` });
        const line = make("li", {}, box, swatch, label, cost);
        const highlight = (on) => () => { state.row = on ? k : null; draw(); };
        line.addEventListener("pointerenter", highlight(true));
        line.addEventListener("pointerleave", highlight(false));
        line.addEventListener("focusin", highlight(true));
        line.addEventListener("focusout", highlight(false));
        return line;
      }));
    };

    const choose = async (i) => {
      const clip = data.clips[i];
      if (!clip.pixels) await load(clip);
      Object.assign(state, { clip, frame: 0, over: null, row: null, level: clip.levels.length - 1 });
      state.off.clear();
      [canvas.height, canvas.width] = clip.size.slice(1);
      slider.max = clip.size[0] - 1;
      level.replaceChildren(...clip.levels.map((l, j) => make("option", { value: String(j), textContent: `${l.concept.length} supervoxels` })));
      level.value = String(state.level);
      fill();
      showOutput();
      describe();
      draw();
    };

    const step = (by) => {
      state.frame = (state.frame + by + state.clip.size[0]) % state.clip.size[0];
      draw();
    };
    const run = (on) => {
      state.playing = on;
      playing.textContent = on ? "Pause" : "Play";
    };
    playing.addEventListener("click", () => run(!state.playing));
    back.addEventListener("click", () => { run(false); step(-1); });
    ahead.addEventListener("click", () => { run(false); step(1); });
    slider.addEventListener("input", () => { run(false); state.frame = Number(slider.value); draw(); });
    choice.addEventListener("change", () => choose(Number(choice.value)));
    level.addEventListener("change", () => { state.level = Number(level.value); state.over = null; describe(); draw(); });
    tint.addEventListener("change", () => { state.tint = tint.checked; draw(); });
    all.addEventListener("click", () => [...state.off].forEach((k) => flip(k, true)));
    const under = (event) => {
      const box = canvas.getBoundingClientRect(), [, height, width] = state.clip.size;
      const x = Math.floor((event.clientX - box.left) / box.width * width);
      const y = Math.floor((event.clientY - box.top) / box.height * height);
      if (x < 0 || y < 0 || x >= width || y >= height) return null;
      return state.clip.ids[state.level][(state.frame * height + y) * width + x];
    };
    const point = (event) => { state.over = under(event); describe(); draw(); };
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerdown", point);
    canvas.addEventListener("pointerleave", () => { state.over = null; describe(); draw(); });
    canvas.addEventListener("click", (event) => {
      const over = under(event), k = over === null ? undefined : state.clip.levels[state.level].concept[over];
      if (state.clip.switches.includes(k)) flip(k, state.off.has(k));
    });

    root.append(
      make("div", { className: "stage" }, canvas,
        make("div", { className: "controls" }, playing, back, ahead, slider, clock),
        make("div", { className: "controls" }, choice, level, make("label", {}, tint, "colours")), description),
      make("div", {}, make("p", { className: "small soft", textContent: data.shown }), likely,
        make("div", { className: "controls" }, make("span", { className: "small soft", textContent: `Concepts in this clip; change of ${data.changed} when hidden` }), all), list));

    whileVisible(root, () => choose(0), () => state.clip?.fps ?? 1, () => { if (state.playing && state.clip) step(1); });
    run(state.playing);
  };
  // Maps of several methods, in step, over one clip.
  const view = (root) => {
    const data = JSON.parse(root.querySelector("script").textContent), [frames, height, width] = data.size, area = height * width;
    const colours = Object.fromEntries(Object.entries(data.colours).map(([k, v]) => [k, Uint8Array.from(atob(v), (c) => c.charCodeAt(0))]));
    const state = { frame: 0, playing: !calm, opacity: 0.75, raw: null };
    const canvases = data.maps.map((map) => make("canvas", { width, height, role: "img", "aria-label": `Map of ${map.name} over the clip` }));
    const first = make("canvas", { width, height, role: "img", "aria-label": "The clip as it is" });
    const playing = make("button", { type: "button" });
    const back = make("button", { type: "button", textContent: "‹", "aria-label": "One frame back" });
    const ahead = make("button", { type: "button", textContent: "›", "aria-label": "One frame on" });
    const slider = make("input", { type: "range", min: 0, max: frames - 1, value: 0, "aria-label": "Frame" });
    const opacity = make("input", { type: "range", min: 0, max: 100, value: 75, "aria-label": "Opacity of the maps" });
    const clock = make("span", { className: "clock" });
    const draw = () => {
      const start = state.frame * area;
      const paint = (canvas, map) => {
        const context = canvas.getContext("2d"), out = context.createImageData(width, height);
        for (let p = 0; p < area; p++) {
          const at = 4 * (start + p), to = 4 * p;
          const grey = 0.299 * state.raw[at] + 0.587 * state.raw[at + 1] + 0.114 * state.raw[at + 2];
          const level = map ? map.pixels[at] : 0, value = map?.signed ? Math.abs(level - 128) / 127 : level / 255;
          const alpha = map ? state.opacity * Math.sqrt(value) : 0, table = map && colours[map.signed ? "signed" : "plain"];
          for (let c = 0; c < 3; c++) out.data[to + c] = map ? (1 - alpha) * grey + alpha * table[3 * level + c] : state.raw[at + c];
          out.data[to + 3] = 255;
        }
        context.putImageData(out, 0, 0);
      };
      paint(first, null);
      data.maps.forEach((map, i) => paint(canvases[i], map));
      slider.value = state.frame;
      clock.textContent = `${data.seconds[state.frame].toFixed(2)} s`;
      slider.setAttribute("aria-valuetext", clock.textContent);
    };
    const step = (by) => { state.frame = (state.frame + by + frames) % frames; draw(); };
    const run = (on) => { state.playing = on; playing.textContent = on ? "Pause" : "Play"; };
    playing.addEventListener("click", () => run(!state.playing));
    back.addEventListener("click", () => { run(false); step(-1); });
    ahead.addEventListener("click", () => { run(false); step(1); });
    slider.addEventListener("input", () => { run(false); state.frame = Number(slider.value); draw(); });
    opacity.addEventListener("input", () => { state.opacity = opacity.value / 100; draw(); });
    const figure = (canvas, name) => make("figure", {}, canvas, make("figcaption", { textContent: name }));
    root.append(
      make("div", { className: "controls" }, playing, back, ahead, slider, clock, make("label", {}, "opacity", opacity)),
      make("div", { className: "maps" }, figure(first, "clip"), ...data.maps.map((map, i) => figure(canvases[i], map.name))));
    const load = async () => {
      state.raw = await pixels(data.frames, width, frames * height);
      for (const map of data.maps) map.pixels = await pixels(map.levels, width, frames * height);
      draw();
    };
    whileVisible(root, load, () => data.fps, () => { if (state.playing && state.raw) step(1); });
    run(state.playing);
  };

  // Tables are sorted by a column, numbers as numbers; a second press reverses the order.
  const sortable = (table) => {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const value = (row, column) => {
      const text = row.cells[column].dataset.value ?? row.cells[column].textContent, number = Number(text);
      return text !== "" && !Number.isNaN(number) ? number : text;
    };
    const compare = (a, b) => {
      if ((typeof a === "number") !== (typeof b === "number")) return typeof a === "number" ? -1 : 1;
      return typeof a === "number" ? a - b : a.localeCompare(b);
    };
    heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => compare(value(a, column), value(b, column)) * (down ? -1 : 1));
      body.append(...rows);
    }));
  };

  document.querySelectorAll("table[data-sortable]").forEach(sortable);
  document.querySelectorAll("[data-viewer]").forEach(view);
  document.querySelectorAll("[data-explorer]").forEach(explore);
})();
