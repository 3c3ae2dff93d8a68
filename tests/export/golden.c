/* Reads images on standard input and writes all scores and the answer of each, as lines of text. */
#include <stdio.h>
#include HEADER

int main(void) {
    static uint8_t image[LENET_HEIGHT * LENET_WIDTH];
    while (fread(image, 1, sizeof image, stdin) == sizeof image) {
        int32_t scores[LENET_CLASSES];
        int i, answer = lenet_classify(image, scores);
        for (i = 0; i < LENET_CLASSES; i++)
            printf("%ld ", (long)scores[i]);
        printf("%d\n", answer);
    }
    return 0;
}
