import { render } from "preact";
import { resume } from "./state/session.ts";
import { t } from "./text/index.ts";
import { App } from "./views/App.tsx";

document.documentElement.lang = t.locale;
document.documentElement.dir = t.direction;
resume();
render(<App />, document.getElementById("app") as HTMLElement);
