"""In scikit-learn: the network as a classifier, in a pipeline, its values searched by cross-validation."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from lenet import LeNetClassifier

# Rows of 64 pixels from 0 to 16; images of any square size are resized to what the network wants.
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)

pipeline = make_pipeline(
    FunctionTransformer(np.sqrt), LeNetClassifier("quick", epochs=4)
)  # fainter ink counts
search = GridSearchCV(
    pipeline,
    {"lenetclassifier__lr": [0.002, 0.01], "lenetclassifier__activation": ["relu", "tanh"]},
    cv=2,
)
search.fit(X_train, y_train)
for parameters, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"{score:.1%}", parameters)
print(f"the best of them on images that chose nothing: {search.score(X_test, y_test):.1%}")

# Kept as a checkpoint, not as a pickle: nothing in it is executed when it is loaded.
search.best_estimator_[-1].save("digits.safetensors")
again = LeNetClassifier.load("digits.safetensors")
assert (again.predict(np.sqrt(X_test)) == search.predict(X_test)).all()
