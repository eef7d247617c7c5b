// What belongs to every page, area by area: a style sheet and, where one is needed, a small script each. After main.css, which orders layers.
import.meta.glob("./areas/*.{css,js}", { eager: true });
