/** The chart library: as the recorder's machine has it, loaded when the page is there already. */

const PATH = "/page/plotly.js";
let loading = null;

/** Resolves to Plotly; rejects with what to do. A later call tries again. */
export function plotly() {
  loading ??= load().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

function load() {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = PATH;
    script.async = true;
    script.onload = () => {
      if (globalThis.Plotly) resolve(globalThis.Plotly);
      else reject(new Error("the chart library does not work in this browser"));
    };
    script.onerror = async () => {
      script.remove();
      const told = await fetch(PATH).then((answer) => (answer.ok ? {} : answer.json())).catch(() => ({}));
      reject(new Error(told.hint ? `${told.error}: ${told.hint}` : "the chart library could not be loaded"));
    };
    document.head.append(script);
  });
}
