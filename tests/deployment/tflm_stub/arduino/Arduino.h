#ifndef TFLM_STUB_ARDUINO_H_
#define TFLM_STUB_ARDUINO_H_

#include <cstdio>

struct SerialPort {
  explicit operator bool() const { return true; }
  void begin(unsigned long) {}
  void print(const char* text) { std::printf("%s", text); }
  void print(unsigned long number) { std::printf("%lu", number); }
  void println(const char* text) { std::printf("%s\n", text); }
};

static SerialPort Serial;

inline unsigned long millis() { return 0; }

inline unsigned long micros() {
  static unsigned long time = 0;
  return time += 250;
}

inline void delay(unsigned long) {}

#endif  // TFLM_STUB_ARDUINO_H_
