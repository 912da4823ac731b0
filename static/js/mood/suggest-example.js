// A small list to begin with. Semicolons and quotes are there to show that they may be.

export const EXAMPLE = `\ufefftitle,kind,link,moods
"Astronomy Picture of the Day",picture,https://apod.nasa.gov/,neutral surprise
"A comic, three times a week",comic,https://xkcd.com/,happy any
"Read aloud: LibriVox",audiobook,https://librivox.org/,neutral sad
"A book: ""Three Men in a Boat""",book,https://www.gutenberg.org/ebooks/308,happy sad
Project Gutenberg,books,https://www.gutenberg.org/,neutral
Random article,reading,https://en.wikipedia.org/wiki/Special:Random,surprise neutral
Breathe in for four and out for six,exercise,,angry fear disgust neutral
Walk around the block,exercise,,angry sad any
Call somebody you like,idea,,sad happy
Look out of the window for a minute,break,,neutral any
`;
