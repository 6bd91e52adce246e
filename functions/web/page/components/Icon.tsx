/** Line icons on a 24-pixel grid. */

const PATHS = {
  plus: "M12 5v14M5 12h14",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20 20l-4-4",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M8 8h8v8H8z",
  more: "M5.5 12h.6M11.7 12h.6M17.9 12h.6",
  menu: "M4 7h16M4 12h16M4 17h10",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10v10H9zM5 15V5h10",
  check: "M5 12.5l4.5 4.5L19 7.5",
  edit: "M4 20h4L19 9l-4-4L4 16v4z",
  refresh: "M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6",
  fork: "M7 4v16M7 14c0-5 10-2 10-8M17 3.5v2M7 20v.01",
  left: "M15 6l-6 6 6 6",
  right: "M9 6l6 6-6 6",
  down: "M6 9l6 6 6-6",
  document: "M7 3h7l5 5v13H7zM14 3v5h5",
  brain:
    "M12 6a3 3 0 0 0-5.8-1A3.5 3.5 0 0 0 4 11a3.5 3.5 0 0 0 2 6 3 3 0 0 0 6 1zM12 6a3 3 0 0 1 5.8-1A3.5 3.5 0 0 1 20 11a3.5 3.5 0 0 1-2 6 3 3 0 0 1-6 1zM12 6v12",
  settings:
    "M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM12 3v2.5M12 18.5V21M3 12h2.5M18.5 12H21M5.6 5.6l1.8 1.8M16.6 16.6l1.8 1.8M5.6 18.4l1.8-1.8M16.6 7.4l1.8-1.8",
  shield: "M12 3l8 3v6c0 5-3.5 8-8 9-4.5-1-8-4-8-9V6z",
  out: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  pin: "M9 4h6l-1 6 3 3H7l3-3zM12 13v7",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  tool: "M14 6a4 4 0 0 1 5-3l-2.5 2.5 2 2L21 5a4 4 0 0 1-5.5 5L8 17.5 6 20l-2-2 2.5-2L14 8.5z",
  warning: "M12 4l9 16H3zM12 10v4M12 17v.01",
  attach: "M20 11l-8.5 8.5a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7l-8.5 8.4a1.7 1.7 0 0 1-2.3-2.3L14 8",
  ghost: "M6 20V11a6 6 0 0 1 12 0v9l-2-1.5-2 1.5-2-1.5-2 1.5-2-1.5zM10 11v.01M14 11v.01",
  chart: "M5 20V10M12 20V4M19 20v-7",
  key: "M14 10a4 4 0 1 0-3.5 4L12 12.5h2V15h2v2h3v-3.5L14 10zM8 10v.01",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 20c1-4 4.5-5 8-5s7 1 8 5",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1 1M17.4 17.4l1 1M5.6 18.4l1-1M17.4 6.6l1-1",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  mail: "M4 6h16v12H4zM4 7l8 6 8-6",
  pulse: "M3 12h4l3-7 4 14 3-7h4",
  thumbUp: "M7 11v9H4v-9zM7 11l4-8a2 2 0 0 1 2 2.5L12 9h6.5a2 2 0 0 1 2 2.4l-1.3 7a2 2 0 0 1-2 1.6H7",
  thumbDown: "M17 13V4h3v9zM17 13l-4 8a2 2 0 0 1-2-2.5l1-3.5H5.5a2 2 0 0 1-2-2.4l1.3-7a2 2 0 0 1 2-1.6H17",
  archive: "M4 5h16v4H4zM6 9v10h12V9M10 13h4",
  tag: "M4 12V5h7l9 9-7 7zM8.5 9.5v.01",
  folder: "M3 6h6l2 2h10v11H3z",
  filter: "M4 6h16M7 12h10M10 18h4",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.5 2",
  bolt: "M13 3L5 14h6l-1 7 8-11h-6z",
  pause: "M9 6v12M15 6v12",
  play: "M8 5l11 7-11 7z",
  spark: "M12 3l1.8 5.2L19 10l-5.2 1.8L12 17l-1.8-5.2L5 10l5.2-1.8zM19 16v4M17 18h4",
  share: "M12 15V4M8 7l4-4 4 4M6 12H5v8h14v-8h-1",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark of Parley: a speech bubble with two lines. */
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg class="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path
        class="mark-bubble"
        d="M6 4h20a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H15l-7 5v-5H6a3 3 0 0 1-3-3V7a3 3 0 0 1 3-3z"
      />
      <path class="mark-lines" d="M10 12h12M10 17h7" />
    </svg>
  );
}
