// A timetable, made up.

export interface GymClass {
  /** Days from today. */
  day: number;
  time: string;
  minutes: number;
  name: string;
  taken: number;
  places: number;
  status: "booked" | "automatic" | "open" | "full";
  /** When booking opens, for those that book themselves. */
  opens?: string;
}

export const CLASSES: readonly GymClass[] = [
  { day: 0, time: "18:30", minutes: 60, name: "WOD", taken: 16, places: 16, status: "booked" },
  { day: 0, time: "19:45", minutes: 45, name: "Core & Mobility", taken: 9, places: 14, status: "open" },
  { day: 1, time: "07:00", minutes: 60, name: "Endurance", taken: 11, places: 12, status: "booked" },
  { day: 1, time: "18:30", minutes: 75, name: "Weightlifting", taken: 10, places: 10, status: "full" },
  { day: 2, time: "18:30", minutes: 60, name: "WOD", taken: 0, places: 16, status: "automatic", opens: "07:00" },
  { day: 2, time: "20:00", minutes: 60, name: "Gymnastics", taken: 0, places: 12, status: "automatic", opens: "07:00" },
  { day: 3, time: "10:00", minutes: 90, name: "Team WOD", taken: 0, places: 24, status: "automatic", opens: "10:00" },
];
